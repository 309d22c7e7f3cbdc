//! Both roles beside another program's HTTP/2 (the `h2` crate), over a pipe that gives bytes in pieces of any size.

use bytes::Bytes;
use http2::{Bounds, Connection, Fields, Opened, RequestHead, Role, StreamError, StreamKey};
use proptest::prelude::*;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

#[derive(Debug, Clone)]
struct Setting {
    /// Bytes that the pipe holds.
    pipe: usize,
    /// Bytes that we read at a time.
    piece: usize,
    window: u32,
    /// The body of each stream.
    bodies: Vec<usize>,
}

fn settings() -> impl Strategy<Value = Setting> {
    (10usize..5000, 10usize..5000, 500u32..100_000, prop::collection::vec(0usize..60_000, 1..12))
        .prop_map(|(pipe, piece, window, bodies)| Setting { pipe, piece, window, bodies })
}

fn bounds(window: u32) -> Bounds {
    Bounds {
        header_table_size: 4096,
        max_concurrent_streams: 100,
        initial_window_size: window,
        connection_window: window,
        max_frame_size: 16_384,
        max_header_list_size: 16_384,
    }
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 7 + place / 251) as u8).collect()
}

/// Moves bytes between a connection and a pipe until `look`, called after each move, says that it is done. Both ways at a
/// time: a peer that cannot write may not read either.
async fn drive(
    connection: &mut Connection,
    pipe: &mut DuplexStream,
    piece: usize,
    mut look: impl FnMut(&mut Connection, Option<Opened>) -> bool,
) {
    let (mut reader, mut writer) = tokio::io::split(pipe);
    let mut buffer = vec![0; piece];
    let mut done = look(connection, None);
    while !done || !connection.output().is_empty() {
        let said = connection.output()[..connection.output().len().min(piece)].to_vec();
        tokio::select! {
            written = writer.write(&said), if !said.is_empty() => {
                let Ok(count) = written else { return };
                connection.consume_output(count);
            }
            read = reader.read(&mut buffer), if connection.takes_input() => {
                let Ok(count @ 1..) = read else { return };
                let mut input = &buffer[..count];
                while let Some(opened) = connection.receive(&mut input, Instant::now()).expect("no error") {
                    look(connection, Some(opened));
                }
            }
        }
        done |= look(connection, None);
    }
}

/// A stream of the server that sends back what it gets.
struct Echo {
    stream: StreamKey,
    unsent: Vec<u8>,
    read: bool,
}

impl Echo {
    /// Whether it is over.
    fn step(&mut self, connection: &mut Connection) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        let mut buffer = [0; 3000];
        loop {
            while !self.read && self.unsent.len() < 10_000 {
                match connection.poll_read(self.stream, context, &mut buffer) {
                    Poll::Ready(Ok(0)) => self.read = true,
                    Poll::Ready(Ok(count)) => self.unsent.extend_from_slice(&buffer[..count]),
                    Poll::Ready(Err(error)) => panic!("{error:?}"),
                    Poll::Pending => break,
                }
            }
            if self.unsent.is_empty() {
                break;
            }
            match connection.poll_write(self.stream, context, &self.unsent, false) {
                Poll::Ready(Ok(count)) => drop(self.unsent.drain(..count)),
                Poll::Ready(Err(error)) => panic!("{error:?}"),
                Poll::Pending => return false,
            }
        }
        if !self.read {
            return false;
        }
        let trailers = connection.take_trailers(self.stream).expect("trailers");
        connection.put_trailers(self.stream, trailers.iter()).expect("they came over HTTP/2");
        connection.release(self.stream);
        true
    }
}

async fn serve(setting: Setting, mut pipe: DuplexStream) {
    let mut connection = Connection::new(Role::Server, bounds(setting.window), Instant::now());
    let mut echoes: Vec<Echo> = Vec::new();
    let mut left = setting.bodies.len();
    drive(&mut connection, &mut pipe, setting.piece, |connection, opened| {
        if let Some(Opened { stream, .. }) = opened {
            let fields: Fields = connection.fields().clone();
            connection.respond(stream, 200, fields.iter(), false).expect("a response");
            echoes.push(Echo { stream, unsent: Vec::new(), read: false });
        }
        echoes.retain_mut(|echo| {
            let over = echo.step(connection);
            left -= usize::from(over);
            !over
        });
        left == 0
    })
    .await;
    assert_eq!((left, connection.held_count()), (0, 0));
    // The client has to read the rest.
    let _ = pipe.read(&mut [0; 100]).await;
}

async fn ask(setting: Setting, pipe: DuplexStream) {
    let builder = h2::client::Builder::new().initial_window_size(setting.window).clone();
    let (sender, connection) = builder.handshake::<_, Bytes>(pipe).await.expect("a handshake");
    let mover = tokio::task::spawn_local(connection);
    let mut asked = tokio::task::JoinSet::new();
    for (number, length) in setting.bodies.iter().copied().enumerate() {
        let mut sender = sender.clone();
        asked.spawn_local(async move {
            poll_fn(|context| sender.poll_ready(context)).await.expect("room");
            let request = http_types::Request::post("http://h/echo")
                .header("x-number", number)
                .header("cookie", "a=b")
                .body(())
                .expect("a request");
            let (response, mut out) = sender.send_request(request, false).expect("sent");
            let wanted = body(length);
            let mut rest = Bytes::from(wanted.clone());
            let writing = async move {
                while !rest.is_empty() {
                    out.reserve_capacity(rest.len());
                    let room =
                        poll_fn(|context| out.poll_capacity(context)).await.expect("open").expect("room");
                    let count = room.min(rest.len());
                    out.send_data(rest.split_to(count), false).expect("sent");
                }
                let mut trailers = http_types::HeaderMap::new();
                trailers.insert("x-sum", http_types::HeaderValue::from(length));
                out.send_trailers(trailers).expect("sent");
            };
            let reading = async move {
                let response = response.await.expect("a response");
                assert_eq!(response.headers()["x-number"], number.to_string());
                let mut from = response.into_body();
                let mut found = Vec::new();
                while let Some(bytes) = from.data().await {
                    let bytes = bytes.expect("data");
                    from.flow_control().release_capacity(bytes.len()).expect("room");
                    found.extend_from_slice(&bytes);
                }
                let trailers = from.trailers().await.expect("an end").expect("trailers");
                assert_eq!(trailers["x-sum"], length.to_string());
                assert!(found == wanted, "stream {number}");
            };
            tokio::join!(writing, reading);
        });
    }
    while let Some(done) = asked.join_next().await {
        done.expect("no panic");
    }
    drop(sender);
    mover.abort();
}

/// The `h2` crate as a server that sends back what it gets.
async fn serve_as_h2(setting: Setting, pipe: DuplexStream) {
    let builder = h2::server::Builder::new().initial_window_size(setting.window).clone();
    let mut connection = builder.handshake::<_, Bytes>(pipe).await.expect("a handshake");
    while let Some(accepted) = connection.accept().await {
        let Ok((request, mut respond)) = accepted else { return };
        tokio::task::spawn_local(async move {
            let mut response = http_types::Response::new(());
            *response.headers_mut() = request.headers().clone();
            let mut interim = http_types::Response::new(());
            *interim.status_mut() = http_types::StatusCode::EARLY_HINTS;
            respond.send_informational(interim).expect("sent");
            let mut out = respond.send_response(response, false).expect("sent");
            let mut from = request.into_body();
            while let Some(bytes) = from.data().await {
                let mut bytes = bytes.expect("data");
                from.flow_control().release_capacity(bytes.len()).expect("room");
                while !bytes.is_empty() {
                    out.reserve_capacity(bytes.len());
                    let room =
                        poll_fn(|context| out.poll_capacity(context)).await.expect("open").expect("room");
                    let count = room.min(bytes.len());
                    out.send_data(bytes.split_to(count), false).expect("sent");
                }
            }
            let trailers = from.trailers().await.expect("an end").expect("trailers");
            out.send_trailers(trailers).expect("sent");
        });
    }
}

/// One of our streams to a server.
struct Asked {
    stream: StreamKey,
    unsent: Vec<u8>,
    ended: bool,
    heads: Vec<u16>,
    found: Vec<u8>,
    over: bool,
}

impl Asked {
    fn step(&mut self, connection: &mut Connection) -> Result<(), StreamError> {
        let context = &mut Context::from_waker(Waker::noop());
        while !self.unsent.is_empty() {
            match connection.poll_write(self.stream, context, &self.unsent, false) {
                Poll::Ready(count) => drop(self.unsent.drain(..count?)),
                Poll::Pending => break,
            }
        }
        if self.unsent.is_empty() && !std::mem::replace(&mut self.ended, self.unsent.is_empty()) {
            connection.put_trailers(self.stream, [(&b"x-sum"[..], &b"1"[..])].into_iter()).expect("sendable");
        }
        while self.heads.last().is_none_or(|status| *status < 200) {
            match connection.poll_head(self.stream, context) {
                Poll::Ready(head) => self.heads.push(head?.status().expect("a status")),
                Poll::Pending => return Ok(()),
            }
        }
        let mut buffer = [0; 5000];
        while !self.over {
            match connection.poll_read(self.stream, context, &mut buffer) {
                Poll::Ready(Ok(0)) => self.over = true,
                Poll::Ready(count) => self.found.extend_from_slice(&buffer[..count?]),
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

async fn ask_h2(setting: Setting, mut pipe: DuplexStream) {
    let mut connection = Connection::new(Role::Client, bounds(setting.window), Instant::now());
    let mut streams: Vec<Asked> = setting
        .bodies
        .iter()
        .map(|length| {
            let head = RequestHead {
                method: b"POST",
                scheme: Some(b"http"),
                authority: Some(b"h"),
                path: Some(b"/echo"),
                protocol: None,
            };
            let fields = [(&b"X-Upper"[..], &b"1"[..])];
            let stream = connection.open(head, fields.into_iter(), false, false).expect("sendable");
            let unsent = body(*length);
            Asked { stream, unsent, ended: false, heads: Vec::new(), found: Vec::new(), over: false }
        })
        .collect();
    drive(&mut connection, &mut pipe, setting.piece, |connection, _| {
        streams.iter_mut().for_each(|stream| stream.step(connection).expect("no error"));
        streams.iter().all(|stream| stream.over)
    })
    .await;
    for (stream, length) in streams.iter().zip(&setting.bodies) {
        assert_eq!(stream.heads, [103, 200]);
        assert!(stream.found == body(*length), "{length} bytes");
        let trailers = connection.take_trailers(stream.stream).expect("trailers");
        assert_eq!(trailers.iter().collect::<Vec<_>>(), [(&b"x-sum"[..], &b"1"[..])]);
        connection.release(stream.stream);
    }
    assert_eq!(connection.held_count(), 0);
}

fn run(both: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let bounded = async { tokio::time::timeout(std::time::Duration::from_secs(60), both).await };
    tokio::task::LocalSet::new().block_on(&runtime, bounded).expect("it ends");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bodies_and_trailers_come_back_through_our_server(setting in settings()) {
        let (ours, theirs) = tokio::io::duplex(setting.pipe);
        run(async { tokio::join!(serve(setting.clone(), ours), ask(setting, theirs)); });
    }

    #[test]
    fn bodies_and_trailers_come_back_to_our_client(setting in settings()) {
        let (ours, theirs) = tokio::io::duplex(setting.pipe);
        run(async {
            tokio::select! {
                () = ask_h2(setting.clone(), ours) => {}
                () = serve_as_h2(setting, theirs) => panic!("the server ended first"),
            }
        });
    }
}
