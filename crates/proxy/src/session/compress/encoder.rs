//! The compressed formats as one stream of bytes: data in, coded bytes out. Owns the state of the formats; never knows
//! of messages or of framing.

use super::fast_stream::FastStream;
use brotli::CompressorWriter;
use flate2::{Compress, Compression, FlushCompress};
use haproxy_config::model::CompressionAlgorithm;
use std::cell::RefCell;
use std::io::Write;
use zstd::stream::raw::{CParameter, Encoder as ZstdEncoder, InBuffer, Operation, OutBuffer};

/// How far back Brotli and Zstandard look, as a power of two of bytes: bounds the memory of a response.
const WINDOW_LOG: u32 = 17;

/// Window of the deflate formats, likewise: their largest.
const DEFLATE_WINDOW_LOG: u8 = 15;

/// Room made at once for coded bytes.
const ROOM: usize = 16 * 1024;

/// Compressors of the deflate formats that a thread keeps, per format: each holds about 300 KB.
const POOLED_MAX: usize = 8;

thread_local! {
    static POOL: RefCell<[Vec<Compress>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// The format's library failed: it got no memory.
#[derive(Debug)]
pub struct EncoderFailed;

/// The formats of the deflate family; the number is their place in the pool.
#[derive(Debug, Clone, Copy)]
pub enum Wrapper {
    Gzip = 0,
    Zlib = 1,
    None = 2,
}

/// One body on its way into a compressed format.
pub enum Encoder {
    Identity,
    /// Deflate at level 1.
    Fast(FastStream),
    /// Deflate at the levels above. The state is there until the end.
    Deflate {
        wrapper: Wrapper,
        state: Option<Compress>,
    },
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(ZstdEncoder<'static>),
}

impl Encoder {
    /// `level`: 1 (fastest) ..= 9, as `tune.comp.maxlevel`.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(algorithm: CompressionAlgorithm, level: u32) -> Result<Encoder, EncoderFailed> {
        Ok(match algorithm {
            CompressionAlgorithm::Identity => Encoder::Identity,
            CompressionAlgorithm::Gzip => deflate(Wrapper::Gzip, level),
            CompressionAlgorithm::Deflate => deflate(Wrapper::Zlib, level),
            CompressionAlgorithm::RawDeflate => deflate(Wrapper::None, level),
            // Its lowest quality is 0, and that one costs twice what gzip's lowest does.
            CompressionAlgorithm::Brotli => Encoder::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                ROOM,
                level.saturating_sub(1),
                WINDOW_LOG,
            ))),
            CompressionAlgorithm::Zstd => {
                let mut encoder = ZstdEncoder::new(level as i32).map_err(|_| EncoderFailed)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG)).map_err(|_| EncoderFailed)?;
                Encoder::Zstd(encoder)
            }
        })
    }

    /// Whether the bytes change at all.
    pub fn is_identity(&self) -> bool {
        matches!(self, Encoder::Identity)
    }

    /// Takes all of `data`; what comes of it may stay inside until the next [`flush`](Encoder::flush).
    ///
    /// # Errors
    /// The library failed.
    pub fn write(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), EncoderFailed> {
        match self {
            Encoder::Identity => out.extend_from_slice(data),
            Encoder::Fast(stream) => stream.write(data, out),
            Encoder::Deflate { state: Some(state), .. } => {
                run_deflate(state, data, FlushCompress::None, out)?
            }
            // Ended: nothing follows.
            Encoder::Deflate { state: None, .. } => {}
            Encoder::Brotli(writer) => {
                writer.write_all(data).map_err(|_| EncoderFailed)?;
                out.append(writer.get_mut());
            }
            Encoder::Zstd(encoder) => {
                let mut input = InBuffer::around(data);
                while input.pos() < data.len() {
                    grown(out, |buffer| encoder.run(&mut input, buffer).map(|_| 0))?;
                }
            }
        }
        Ok(())
    }

    /// Brings out everything that was written so far.
    ///
    /// # Errors
    /// The library failed.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncoderFailed> {
        match self {
            Encoder::Identity | Encoder::Deflate { state: None, .. } => {}
            Encoder::Fast(stream) => stream.flush(out),
            Encoder::Deflate { state: Some(state), .. } => run_deflate(state, &[], FlushCompress::Sync, out)?,
            Encoder::Brotli(writer) => {
                writer.flush().map_err(|_| EncoderFailed)?;
                out.append(writer.get_mut());
            }
            Encoder::Zstd(encoder) => while grown(out, |buffer| encoder.flush(buffer))? > 0 {},
        }
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// The library failed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncoderFailed> {
        match self {
            Encoder::Identity | Encoder::Deflate { state: None, .. } => {}
            Encoder::Fast(stream) => stream.finish(out),
            Encoder::Deflate { wrapper, state } => {
                if let Some(mut ended) = state.take() {
                    run_deflate(&mut ended, &[], FlushCompress::Finish, out)?;
                    give(*wrapper, ended);
                }
            }
            Encoder::Brotli(writer) => {
                let ended =
                    std::mem::replace(writer, Box::new(CompressorWriter::new(Vec::new(), 1, 0, WINDOW_LOG)));
                out.append(&mut ended.into_inner());
            }
            Encoder::Zstd(encoder) => while grown(out, |buffer| encoder.finish(buffer, true))? > 0 {},
        }
        Ok(())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Encoder::Deflate { wrapper, state } = self
            && let Some(state) = state.take()
        {
            give(*wrapper, state);
        }
    }
}

fn deflate(wrapper: Wrapper, level: u32) -> Encoder {
    if level <= 1 {
        return Encoder::Fast(FastStream::new(wrapper));
    }
    let pooled = POOL.with(|pool| pool.borrow_mut()[wrapper as usize].pop());
    let state = match pooled {
        Some(mut state) => {
            state.reset();
            state
        }
        None => {
            let level = Compression::new(level);
            match wrapper {
                Wrapper::Gzip => Compress::new_gzip(level, DEFLATE_WINDOW_LOG),
                Wrapper::Zlib => Compress::new_with_window_bits(level, true, DEFLATE_WINDOW_LOG),
                Wrapper::None => Compress::new_with_window_bits(level, false, DEFLATE_WINDOW_LOG),
            }
        }
    };
    Encoder::Deflate { wrapper, state: Some(state) }
}

/// The level is the same for all of a process, so any state fits the next body.
fn give(wrapper: Wrapper, state: Compress) {
    POOL.with(|pool| {
        let kept = &mut pool.borrow_mut()[wrapper as usize];
        if kept.len() < POOLED_MAX {
            kept.push(state);
        }
    });
}

fn run_deflate(
    state: &mut Compress,
    data: &[u8],
    flush: FlushCompress,
    out: &mut Vec<u8>,
) -> Result<(), EncoderFailed> {
    let mut rest = data;
    loop {
        out.reserve(ROOM.max(rest.len() / 2));
        let before = state.total_in();
        let status = state.compress_vec(rest, out, flush).map_err(|_| EncoderFailed)?;
        rest = &rest[(state.total_in() - before) as usize..];
        // Room that is left says that nothing waits inside for want of it.
        let has_room = out.len() < out.capacity();
        if rest.is_empty() && (has_room || status == flate2::Status::StreamEnd) {
            return Ok(());
        }
    }
}

/// Runs one step of Zstandard into the end of `out`.
fn grown(
    out: &mut Vec<u8>,
    step: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> std::io::Result<usize>,
) -> Result<usize, EncoderFailed> {
    out.reserve(ROOM);
    let at = out.len();
    let mut buffer = OutBuffer::around_pos(out, at);
    step(&mut buffer).map_err(|_| EncoderFailed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const ALL: [CompressionAlgorithm; 6] = [
        CompressionAlgorithm::Identity,
        CompressionAlgorithm::Gzip,
        CompressionAlgorithm::Deflate,
        CompressionAlgorithm::RawDeflate,
        CompressionAlgorithm::Brotli,
        CompressionAlgorithm::Zstd,
    ];

    /// What of `coded` can be read, whether or not the stream has ended.
    fn decode(algorithm: CompressionAlgorithm, coded: &[u8]) -> Vec<u8> {
        let mut reader: Box<dyn Read + '_> = match algorithm {
            CompressionAlgorithm::Identity => Box::new(coded),
            CompressionAlgorithm::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
            CompressionAlgorithm::Deflate => Box::new(flate2::read::ZlibDecoder::new(coded)),
            CompressionAlgorithm::RawDeflate => Box::new(flate2::read::DeflateDecoder::new(coded)),
            CompressionAlgorithm::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
            CompressionAlgorithm::Zstd => {
                Box::new(zstd::stream::read::Decoder::new(coded).expect("a decoder"))
            }
        };
        let mut plain = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            plain.extend_from_slice(&buffer[..count]);
        }
        plain
    }

    fn sample() -> Vec<u8> {
        (0..40_000u32)
            .flat_map(|number| format!("{} ", number.wrapping_mul(2_654_435_761) >> 18).into_bytes())
            .collect()
    }

    #[test]
    fn every_format_gives_back_what_went_in_whatever_the_pieces() {
        let sample = sample();
        for algorithm in ALL {
            for (level, piece) in [(1, 7_001), (1, 200_000), (2, 7_001), (9, 65_536)] {
                let mut encoder = Encoder::new(algorithm, level).expect("memory");
                let mut coded = Vec::new();
                for data in sample.chunks(piece) {
                    encoder.write(data, &mut coded).expect("it takes the piece");
                    encoder.flush(&mut coded).expect("it flushes");
                }
                encoder.finish(&mut coded).expect("it ends");
                assert!(decode(algorithm, &coded) == sample, "{algorithm:?} {level} {piece}");
                assert!(encoder.is_identity() || coded.len() < sample.len() * 9 / 10);
            }
        }
    }

    #[test]
    fn what_was_flushed_can_be_read_before_the_end() {
        for algorithm in ALL {
            let mut encoder = Encoder::new(algorithm, 1).expect("memory");
            let mut coded = Vec::new();
            for word in ["first ", "second ", "third "] {
                encoder.write(word.as_bytes(), &mut coded).expect("it takes the word");
                encoder.flush(&mut coded).expect("it flushes");
            }
            assert_eq!(decode(algorithm, &coded), b"first second third ", "{algorithm:?}");
        }
    }

    #[test]
    fn a_used_state_starts_again_and_an_empty_body_is_a_whole_stream() {
        for algorithm in ALL {
            for _ in 0..3 {
                let mut abandoned = Encoder::new(algorithm, 1).expect("memory");
                abandoned.write(b"never finished", &mut Vec::new()).expect("it takes the bytes");
                drop(abandoned);
                let mut encoder = Encoder::new(algorithm, 1).expect("memory");
                let mut coded = Vec::new();
                encoder.finish(&mut coded).expect("it ends");
                assert_eq!(decode(algorithm, &coded), b"", "{algorithm:?}");
                assert_eq!(coded.is_empty(), encoder.is_identity());
            }
        }
    }
}
