//! The response to a request for several things at once: what became of each, and how many failed.

use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<T> {
    success_count: usize,
    failure_count: usize,
    pub results: Vec<T>,
}

impl<T> Summary<T> {
    pub fn new(results: Vec<T>, has_failed: impl Fn(&T) -> bool) -> Self {
        let failure_count = results.iter().filter(|result| has_failed(result)).count();
        Self { success_count: results.len() - failure_count, failure_count, results }
    }
}
