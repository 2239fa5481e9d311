//! Inflates compressed bodies while they arrive. A small body that becomes too large is refused as soon as it passes
//! the limit.

use std::io::{self, Write};

use flate2::write::{GzDecoder, ZlibDecoder};

use crate::IntakeError;

/// The inflated bytes, up to a limit.
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.limit {
            self.full = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A body that arrives, by its `Content-Encoding`.
pub(crate) enum Coding {
    Identity(Bounded),
    Gzip(GzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
}

impl Coding {
    /// # Errors
    /// For an unsupported encoding.
    pub fn of(encoding: Option<&str>, limit: usize) -> Result<Self, IntakeError> {
        let bounded = Bounded { bytes: Vec::new(), limit, full: false };
        match encoding.map(str::trim) {
            None | Some("") => Ok(Self::Identity(bounded)),
            Some(name) if name.eq_ignore_ascii_case("identity") => Ok(Self::Identity(bounded)),
            Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                Ok(Self::Gzip(GzDecoder::new(bounded)))
            }
            Some(name) if name.eq_ignore_ascii_case("deflate") => Ok(Self::Deflate(ZlibDecoder::new(bounded))),
            Some(_) => Err(IntakeError::Encoding),
        }
    }

    fn bounded(&self) -> &Bounded {
        match self {
            Self::Identity(bounded) => bounded,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
        }
    }

    /// The number of bytes so far.
    pub fn len(&self) -> usize {
        self.bounded().bytes.len()
    }

    pub fn take(&mut self, chunk: &[u8]) -> Result<(), IntakeError> {
        let outcome = match self {
            Self::Identity(bounded) => bounded.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
            Self::Deflate(decoder) => decoder.write_all(chunk),
        };
        outcome.map_err(|_| self.problem())
    }

    fn problem(&self) -> IntakeError {
        let Bounded { full, limit, .. } = *self.bounded();
        if full { IntakeError::TooLarge { limit } } else { IntakeError::Unreadable }
    }

    pub fn finish(mut self) -> Result<Vec<u8>, IntakeError> {
        let ended = match &mut self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
        };
        if ended.is_err() {
            return Err(self.problem());
        }
        let bytes = match &mut self {
            Self::Identity(bounded) => std::mem::take(&mut bounded.bytes),
            Self::Gzip(decoder) => std::mem::take(&mut decoder.get_mut().bytes),
            Self::Deflate(decoder) => std::mem::take(&mut decoder.get_mut().bytes),
        };
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(encoding: &str, packed: &[u8], limit: usize) -> Result<Vec<u8>, IntakeError> {
        let mut coding = Coding::of(Some(encoding), limit)?;
        packed.chunks(7).try_for_each(|chunk| coding.take(chunk))?;
        coding.finish()
    }

    #[test]
    fn a_compressed_body_is_inflated() {
        let plain = b"the same words, many times ".repeat(100);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&plain).unwrap();
        for (encoding, packed) in [
            ("gzip", gzip(&plain)),
            ("X-GZIP", gzip(&plain)),
            ("deflate", zlib.finish().unwrap()),
            ("identity", plain.clone()),
        ] {
            assert_eq!(inflated(encoding, &packed, plain.len()).unwrap(), plain, "{encoding}");
            assert!(
                matches!(inflated(encoding, &packed, plain.len() - 1), Err(IntakeError::TooLarge { .. })),
                "{encoding}"
            );
        }
    }

    #[test]
    fn a_compression_bomb_is_refused_while_it_is_inflated() {
        let bomb = gzip(&vec![0; 64 << 20]);
        let mut coding = Coding::of(Some("gzip"), 1 << 20).unwrap();
        assert!(matches!(coding.take(&bomb), Err(IntakeError::TooLarge { limit: 1_048_576 })));
        assert!(coding.bounded().bytes.capacity() <= 2 << 20);
    }

    #[test]
    fn a_body_that_is_not_in_its_encoding_is_refused() {
        let packed = gzip(b"words");
        assert!(matches!(inflated("gzip", b"no gzip at all, by any means", 100), Err(IntakeError::Unreadable)));
        assert!(matches!(inflated("gzip", &packed[..packed.len() - 6], 100), Err(IntakeError::Unreadable)));
        assert!(matches!(inflated("br", &packed, 100), Err(IntakeError::Encoding)));
        assert!(matches!(inflated("gzip, gzip", &packed, 100), Err(IntakeError::Encoding)));
    }
}
