//! Random ids.

use rand::Rng;

/// An unguessable id of letters and digits.
pub fn random_id(length: usize) -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(length).map(char::from).collect()
}
