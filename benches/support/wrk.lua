-- Sends the requests of a file, each as often as the others. They stand one behind the other, with a NUL between.
local requests, sent = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for request in file:read("*a"):gmatch("%Z+") do requests[#requests + 1] = request end
  file:close()
end

function request()
  sent = sent + 1
  return requests[sent * 7919 % #requests + 1]
end

function done(summary, latency)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.timeout + e.status
  print(string.format("measured %d %d %d %d %d", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
