//! Pages of lists.

use tandem_actors::domain::Rejection;

use super::error::ApiError;

/// The length of a page: what the client asks for, or the usual length.
pub fn page_length(asked: Option<usize>, usual: usize, largest: usize) -> Result<usize, ApiError> {
    debug_assert!((1..=largest).contains(&usual));
    match asked.unwrap_or(usual) {
        length if (1..=largest).contains(&length) => Ok(length),
        length => Err(Rejection::invalid("limit", length, format_args!("1 to {largest}")).into()),
    }
}
