//! What a scripted server does with a request: bytes to write, and pauses, holds and ends between them.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

/// One act of a server.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes these bytes, and flushes.
    Write(Vec<u8>),
    /// Does nothing for a while.
    Wait(Duration),
    /// Does nothing until the test calls `release`, or the client goes away.
    Hold,
    /// Ends the connection in order.
    Close,
    /// Ends the connection with a reset.
    Reset,
}

/// What a server does with one request. Without [`Step::Close`] the connection stays open for the next.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub steps: Vec<Step>,
}

impl Reply {
    /// A whole answer with a `content-length`.
    pub fn whole(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        Reply { steps: vec![Step::Write([head.as_bytes(), body].concat())] }
    }

    /// A whole JSON answer.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Reply {
        Reply::whole(status, "application/json", body)
    }

    /// A chunked answer, each piece a chunk and a write of its own.
    pub fn stream(content_type: &str, pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Reply {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut steps = vec![Step::Write(head.into_bytes())];
        steps.extend(pieces.into_iter().map(|piece| Step::Write(chunk(piece.as_ref()))));
        steps.push(Step::Write(b"0\r\n\r\n".to_vec()));
        Reply { steps }
    }

    /// These bytes and nothing else, then the end of the connection.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Reply {
        Reply { steps: vec![Step::Write(bytes.as_ref().to_vec()), Step::Close] }
    }

    /// Takes the request and never answers.
    pub fn silence() -> Reply {
        Reply { steps: vec![Step::Hold, Step::Close] }
    }

    /// Takes the request and resets the connection.
    pub fn reset() -> Reply {
        Reply { steps: vec![Step::Reset] }
    }

    /// Adds a header to the head.
    pub fn header(mut self, name: &str, value: &str) -> Reply {
        if let Some(Step::Write(head)) = self.steps.first_mut() {
            let at = head.windows(2).position(|two| two == b"\r\n").expect("a head has lines") + 2;
            head.splice(at..at, format!("{name}: {value}\r\n").into_bytes());
        }
        self
    }

    /// Waits before the first step.
    pub fn after(mut self, wait: Duration) -> Reply {
        self.steps.insert(0, Step::Wait(wait));
        self
    }

    /// Holds before the `n`th step (0: before the head, 1: before the first piece of a stream).
    pub fn hold_before(mut self, n: usize) -> Reply {
        self.steps.insert(n.min(self.steps.len()), Step::Hold);
        self
    }

    /// Writes every byte by itself.
    pub fn byte_by_byte(self) -> Reply {
        self.each_byte(|byte| vec![Step::Write(vec![byte])])
    }

    /// Writes every byte by itself, with a pause after each.
    pub fn dripped(self, pause: Duration) -> Reply {
        self.each_byte(|byte| vec![Step::Write(vec![byte]), Step::Wait(pause)])
    }

    /// Closes the connection after `n` bytes.
    pub fn cut_at(self, n: usize) -> Reply {
        self.ended_at(n, Step::Close)
    }

    /// Resets the connection after `n` bytes.
    pub fn reset_at(self, n: usize) -> Reply {
        self.ended_at(n, Step::Reset)
    }

    /// Everything that would be written.
    pub fn bytes(&self) -> Vec<u8> {
        let written = self.steps.iter().filter_map(|step| match step {
            Step::Write(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        written.collect::<Vec<_>>().concat()
    }

    fn each_byte(self, act: impl Fn(u8) -> Vec<Step>) -> Reply {
        let expand = |step| match step {
            Step::Write(bytes) => bytes.into_iter().flat_map(&act).collect(),
            other => vec![other],
        };
        Reply { steps: self.steps.into_iter().flat_map(expand).collect() }
    }

    fn ended_at(self, n: usize, end: Step) -> Reply {
        let mut left = n;
        let mut steps = Vec::new();
        for step in self.steps {
            match step {
                Step::Write(bytes) if bytes.len() >= left => {
                    steps.push(Step::Write(bytes[..left].to_vec()));
                    break;
                }
                Step::Write(bytes) => {
                    left -= bytes.len();
                    steps.push(Step::Write(bytes));
                }
                other => steps.push(other),
            }
        }
        steps.push(end);
        Reply { steps }
    }
}

/// One chunk of a chunked body.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The same bytes, compressed.
pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}
