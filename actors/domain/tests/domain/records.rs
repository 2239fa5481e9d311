//! Records as the store keeps them: MessagePack maps with field names.

use rmp_serde::decode::Error;
use serde::{Serialize, de::DeserializeOwned};

pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(record).unwrap()
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    rmp_serde::from_slice(bytes)
}
