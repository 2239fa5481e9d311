// Rooms over the bare `ws` package: the first frame of a connection names its room, every other is passed on to the others in it.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const rooms = new Map();
const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  let room;
  socket.on('message', (data, isBinary) => {
    const frame = JSON.parse(data);
    if (frame.join) {
      room = rooms.get(frame.join) ?? new Set();
      rooms.set(frame.join, room.add(socket));
      socket.send('{"joined":true}');
      return;
    }
    const text = JSON.stringify({ name: frame.name, data: frame.data });
    for (const member of room) {
      if (member !== socket) member.send(text, { binary: isBinary });
    }
  });
  socket.on('close', () => room?.delete(socket));
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
