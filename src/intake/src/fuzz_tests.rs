//! What the fuzz targets (`tests/fuzz`) do with compressed bodies. The tests do it with the corpus.

use std::io::Write;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};

use crate::{IntakeError, inflate::Coding};

const LIMIT: usize = 4_096;

fn inflated<'b>(encoding: &str, chunks: impl Iterator<Item = &'b [u8]>) -> Result<Vec<u8>, IntakeError> {
    let mut coding = Coding::of(Some(encoding), LIMIT)?;
    for chunk in chunks {
        coding.take(chunk)?;
        assert!(coding.len() <= LIMIT);
    }
    coding.finish()
}

/// A body in each encoding, whole and in parts. It stays within the limit, and is the same in both ways. What was
/// compressed comes back.
///
/// # Panics
/// If that does not hold.
pub fn inflate(bytes: &[u8]) {
    for encoding in ["gzip", "deflate", "identity"] {
        let whole = inflated(encoding, std::iter::once(bytes));
        let parts = inflated(encoding, bytes.chunks(7));
        // Of a body that is both too large and damaged, the parts decide which is found first.
        assert_eq!(whole.as_ref().ok(), parts.as_ref().ok(), "{encoding}");
        assert!(whole.is_ok_and(|body| body.len() <= LIMIT) || encoding != "identity" || bytes.len() > LIMIT);
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    let written = gzip.write_all(bytes).and_then(|()| deflate.write_all(bytes));
    written.expect("memory takes everything");
    let expected = if bytes.len() <= LIMIT { Ok(bytes.to_vec()) } else { Err(IntakeError::TooLarge { limit: LIMIT }) };
    for (encoding, compressed) in [("gzip", gzip.finish()), ("deflate", deflate.finish())] {
        let compressed = compressed.expect("memory takes everything");
        assert_eq!(inflated(encoding, compressed.chunks(11)), expected, "{encoding}");
    }
}

#[cfg(test)]
mod tests {
    use tandem_corpus::replay;

    #[test]
    fn the_corpus_of_compressed_bodies_passes() {
        replay("inflate", super::inflate);
    }
}
