//! Parameters of requests for a list, which all lists share: the direction, and the largest number of items of a page.

use crate::{protocol::ErrorInfo, storage::Direction};

pub const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// # Errors
/// 40000 unless the text is a direction.
pub fn direction(text: Option<&str>) -> Result<Direction, ErrorInfo> {
    match text {
        None | Some("backwards") => Ok(Direction::Backward),
        Some("forwards") => Ok(Direction::Forward),
        Some(_) => Err(ErrorInfo::bad_request("direction must be backwards or forwards")),
    }
}

/// # Errors
/// 40000 unless the text is a number between 1 and 1000.
pub fn limit(text: Option<&str>) -> Result<usize, ErrorInfo> {
    match text.map(str::parse) {
        None => Ok(DEFAULT_LIMIT),
        Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(_) => Err(ErrorInfo::bad_request("limit must be a number between 1 and 1000")),
    }
}
