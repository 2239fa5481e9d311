//! The `Retry-After` header (RFC 9110, 10.2.3), read and written.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// How long the server asks to wait: seconds, or an HTTP date. A date is compared with the answer's own `Date`, so that
/// a wrong clock on either side does not matter; without that header, with this machine's clock.
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = parse_date(text)?;
    let now = date(headers, DATE).unwrap_or_else(SystemTime::now);
    at.duration_since(now).ok()
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    parse_date(headers.get(name)?.to_str().ok()?)
}

fn parse_date(text: &str) -> Option<SystemTime> {
    jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().into())
}

/// The wait in whole seconds: rounded up, because a client that comes early is refused again, and at least one.
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(retry_after: &'static str, date: Option<&'static str>) -> HeaderMap {
        let date = date.map(|date| (DATE, HeaderValue::from_static(date)));
        [(RETRY_AFTER, HeaderValue::from_static(retry_after))].into_iter().chain(date).collect()
    }

    #[test]
    fn seconds_and_dates_are_read() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (retry_after, date, seconds) in [
            ("120", None, Some(120)),
            (" 0 ", Some(date), Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(date), Some(30)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(date), None),
            ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
            ("soon", Some(date), None),
            ("-1", None, None),
        ] {
            assert_eq!(read(&headers(retry_after, date)), seconds.map(Duration::from_secs), "{retry_after} {date:?}");
        }
        let tomorrow = jiff::fmt::rfc2822::to_string(&(jiff::Zoned::now() + jiff::Span::new().hours(24))).unwrap();
        let wait = read(&[(RETRY_AFTER, HeaderValue::try_from(tomorrow).unwrap())].into_iter().collect()).unwrap();
        assert!(wait > Duration::from_secs(23 * 3_600), "{wait:?} by this machine's clock");
    }

    #[test]
    fn a_wait_is_written_in_whole_seconds() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (21_600_000, 21_600)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
