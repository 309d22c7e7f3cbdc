//! Pipes for splice(2): bulk bytes go from socket to socket inside the kernel. A pipe belongs to a flow only while bytes
//! are in it, and lies in the thread's pool else.

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a pipe holds, in bytes: as much as one bulk read. Small pipes make splicing slower than copying.
pub const PIPE_SIZE: usize = 256 * 1024;

/// Empty pipes kept per thread; beyond that they are closed.
const POOLED_MAX: usize = 32;

/// Pipes open in the whole process (`maxpipes`, or this): two descriptors each. Without one, bytes are copied.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static OPEN_MAX: AtomicUsize = AtomicUsize::new(OPEN_UNASKED);

/// Pipes that a process opens that was not told how many: few, for they come out of the descriptors meant for connections.
pub const OPEN_UNASKED: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// Sets how many pipes the process may open (`maxpipes`); 0 turns splicing off.
pub fn limit(pipes: usize) {
    OPEN_MAX.store(pipes, Ordering::Relaxed);
}

/// One pipe and how many bytes wait in it.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    waiting: usize,
}

/// An empty pipe; `None` when there are enough, or the system gives none.
pub fn take() -> Option<Box<Pipe>> {
    POOL.with(|pool| pool.borrow_mut().pop()).or_else(Pipe::open).map(Box::new)
}

/// Gives a pipe back; one with bytes in it is closed, and they are lost.
pub fn give(pipe: Box<Pipe>) {
    if pipe.waiting > 0 {
        return;
    }
    POOL.with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOLED_MAX {
            pool.push(*pipe);
        }
    });
}

impl Pipe {
    fn open() -> Option<Pipe> {
        if OPEN.fetch_add(1, Ordering::Relaxed) >= OPEN_MAX.load(Ordering::Relaxed) {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let opened = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).and_then(|(reader, writer)| {
            let sized = fcntl_setpipe_size(&writer, PIPE_SIZE);
            sized.map(|_size| (reader, writer))
        });
        match opened {
            Ok((reader, writer)) => Some(Pipe { reader, writer, waiting: 0 }),
            Err(_) => {
                OPEN.fetch_sub(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Bytes that went in and not yet out.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Moves at most `count` bytes from a socket into the pipe, which must be empty. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    /// As read(2) on the socket: `WouldBlock` when nothing is there now.
    pub fn fill(&mut self, source: impl AsFd, count: usize) -> io::Result<usize> {
        debug_assert_eq!(self.waiting, 0, "a full pipe and an empty socket would look the same");
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = splice(source, None, &self.writer, None, count.min(PIPE_SIZE), flags)?;
        self.waiting = moved;
        Ok(moved)
    }

    /// Moves bytes from the pipe into a socket.
    ///
    /// # Errors
    /// As write(2) on the socket: `WouldBlock` when it takes nothing now.
    pub fn drain(&mut self, destination: impl AsFd) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = splice(&self.reader, None, destination, None, self.waiting, flags)?;
        self.waiting -= moved;
        Ok(moved)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Empty pipes that wait in this thread's pool.
#[cfg(test)]
pub fn pooled() -> usize {
    POOL.with(|pool| pool.borrow().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_pass_through_in_order_and_the_pipe_is_used_again() {
        let (mut sender, source) = UnixStream::pair().expect("sockets");
        let (destination, mut receiver) = UnixStream::pair().expect("sockets");
        sender.write_all(b"one hawser, three strands").expect("room");
        let mut pipe = take().expect("a pipe");
        assert_eq!(pipe.fill(&source, 10).expect("bytes"), 10, "no more than asked for");
        assert_eq!(pipe.drain(&destination).expect("room"), 10);
        assert_eq!(pipe.fill(&source, PIPE_SIZE).expect("bytes"), 15);
        assert_eq!(pipe.drain(&destination).expect("room"), 15);
        give(pipe);
        let mut buffer = [0; 25];
        receiver.read_exact(&mut buffer).expect("all of it");
        assert_eq!(&buffer, b"one hawser, three strands");
        assert_eq!(pooled(), 1);
    }

    #[test]
    fn a_pipe_with_bytes_in_it_is_never_lent_again() {
        let (mut sender, source) = UnixStream::pair().expect("sockets");
        sender.write_all(b"left behind").expect("room");
        let mut pipe = take().expect("a pipe");
        pipe.fill(&source, PIPE_SIZE).expect("bytes");
        give(pipe);
        assert_eq!(take().expect("another pipe").waiting(), 0);
    }
}
