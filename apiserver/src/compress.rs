//! Decides which answers go out compressed: large ones, to clients that ask for it. Never a watch or a session, where
//! events would wait in the compressor.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body;
use http_body_util::BodyExt;

use crate::body::{BoxError, ResponseBody, full, stream};
use crate::response::Answer;

/// Smaller answers cost more to compress than to send.
const THRESHOLD: usize = 128 << 10;

/// Whether a request says that it takes gzip.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = parts
            .any(|parameter| parameter.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()) == Some(0.0));
        is_gzip && !is_refused
    })
}

/// The answer, compressed if it is large.
pub(crate) async fn compressed(answer: Answer) -> Answer {
    let is_small = answer.body().size_hint().exact().is_some_and(|size| size <= THRESHOLD as u64);
    if is_small || answer.headers().contains_key(header::CONTENT_ENCODING) {
        return answer;
    }
    let (mut parts, mut body) = answer.into_parts();
    let mut begun = Vec::new();
    while begun.len() <= THRESHOLD {
        match body.frame().await {
            Some(Ok(frame)) => begun.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..])),
            Some(Err(error)) => {
                // What is there goes out, then the connection is cut: nobody takes a part for the whole.
                let rest = [Ok(Bytes::from(begun)), Err(error)];
                return Answer::from_parts(parts, stream(futures::stream::iter(rest)));
            }
            None => return Answer::from_parts(parts, full(begun)),
        }
    }
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    let packer = Packer { begun: Some(begun), body, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) };
    let chunks = futures::stream::unfold(packer, |mut packer| async move {
        let chunk = packer.next().await?;
        Some((chunk, packer))
    });
    Answer::from_parts(parts, stream(chunks))
}

/// Compresses a body while it is made.
struct Packer {
    begun: Option<Vec<u8>>,
    body: ResponseBody,
    /// `None` when all is said.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Packer {
    /// The next bytes that the compressor lets go.
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            let encoder = self.encoder.as_mut()?;
            let written = match self.begun.take() {
                Some(begun) => encoder.write_all(&begun),
                None => match self.body.frame().await {
                    Some(Ok(frame)) => encoder.write_all(frame.data_ref().map_or(&[], |data| &data[..])),
                    Some(Err(error)) => {
                        self.encoder = None;
                        return Some(Err(error));
                    }
                    None => {
                        let rest = self.encoder.take()?.finish();
                        return Some(rest.map(Bytes::from).map_err(Into::into));
                    }
                },
            };
            if let Err(error) = written {
                self.encoder = None;
                return Some(Err(error.into()));
            }
            let packed = std::mem::take(encoder.get_mut());
            if !packed.is_empty() {
                return Some(Ok(packed.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http::Response;

    use super::*;

    fn asking(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    async fn sent(chunks: Vec<Result<Bytes, BoxError>>) -> (Option<HeaderValue>, Result<Vec<u8>, BoxError>) {
        let answer = compressed(Response::new(stream(futures::stream::iter(chunks)))).await;
        let encoding = answer.headers().get(header::CONTENT_ENCODING).cloned();
        (encoding, answer.into_body().collect().await.map(|body| body.to_bytes().to_vec()))
    }

    #[test]
    fn gzip_is_wanted_by_those_who_name_it() {
        assert!(is_wanted(&asking("gzip")));
        assert!(is_wanted(&asking("deflate, GZIP;q=0.5")));
        assert!(!is_wanted(&asking("gzip;q=0, br")));
        assert!(!is_wanted(&asking("identity")));
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn small_bodies_stay_as_they_are_however_they_are_cut() {
        let chunks = (0..4).map(|_| Ok(Bytes::from_static(b"ab"))).collect();
        assert_eq!(sent(chunks).await.1.unwrap(), b"abababab");
    }

    #[tokio::test]
    async fn large_bodies_are_the_same_when_unpacked() {
        let chunk: Vec<u8> = (0..50_000_u32).map(|number| (number % 251) as u8).collect();
        let chunks = (0..9).map(|_| Ok(Bytes::from(chunk.clone()))).collect();
        let (encoding, packed) = sent(chunks).await;
        let packed = packed.unwrap();
        assert_eq!(encoding.unwrap(), "gzip");
        assert!(packed.len() < 100_000, "{}", packed.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, chunk.repeat(9));
    }

    #[tokio::test]
    async fn an_error_in_the_middle_cuts_the_answer() {
        for before in [1, 9] {
            let mut chunks: Vec<Result<Bytes, BoxError>> = Vec::new();
            chunks.extend((0..before).map(|_| Ok(Bytes::from(vec![0; 50_000]))));
            chunks.push(Err("gone".into()));
            assert!(sent(chunks).await.1.is_err());
        }
    }
}
