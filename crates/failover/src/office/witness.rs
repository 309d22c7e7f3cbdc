//! Witnesses: third parties that are asked whether they hear us, so that a node that is cut off takes nothing over. A
//! thread for each target asks; the office counts. Nothing is allowed before the first round has ended.

use crate::channel::{self, Receiving, Sending};
use keepalived_config::model::{Model, Witness, WitnessTarget};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Answers that wait for the office; one that finds no room is told again by the next round.
const ANSWERS_MAX: usize = 1024;
/// Threads that ask; of more targets than this the rest never answers.
const THREADS_MAX: usize = 64;
const STACK_LENGTH: usize = 64 * 1024;
/// The status line of an answer.
const LINE_MAX: usize = 256;

/// What a target said: when it was asked, if it answered.
type Said = Option<Instant>;

/// One witness and what is known of it.
#[derive(Debug)]
struct Court {
    witness: Witness,
    instances: Vec<String>,
    /// What each target said last; `None`: it was not asked yet.
    answers: Vec<Option<Said>>,
    /// What the engine was told last.
    told: Option<Option<Instant>>,
}

impl Court {
    fn count(&self) -> usize {
        self.answers.iter().filter(|answer| matches!(answer, Some(Some(_)))).count()
    }

    /// Whether enough answer, once that is certain: since when enough of them have.
    fn verdict(&self) -> Option<Option<Instant>> {
        let unknown = self.answers.iter().filter(|answer| answer.is_none()).count();
        let mut asked: Vec<Instant> = self.answers.iter().copied().flatten().flatten().collect();
        asked.sort_unstable_by(|one, other| other.cmp(one));
        match asked.get(self.witness.quorum - 1) {
            Some(asked) => Some(Some(*asked)),
            None if asked.len() + unknown < self.witness.quorum => Some(None),
            None => None,
        }
    }
}

#[derive(Debug)]
struct Answer {
    generation: u64,
    court: usize,
    target: usize,
    said: Said,
}

/// News of a witness.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    pub instances: Vec<String>,
    /// Enough have answered what they were asked then; `None`: they do not.
    pub asked: Option<Instant>,
    /// It was the other way round before.
    pub is_new: bool,
    /// How many answer, of how many, and how many must.
    pub count: usize,
    pub targets: usize,
    pub quorum: usize,
}

/// All witnesses of a configuration.
#[derive(Debug)]
pub struct Witnesses {
    courts: Vec<Court>,
    generation: u64,
    is_over: Arc<AtomicBool>,
    sender: Sending<Answer>,
    receiver: Receiving<Answer>,
}

impl Witnesses {
    /// # Errors
    /// What `eventfd(2)` says.
    pub fn new() -> io::Result<Self> {
        let (sender, receiver) = channel::queue(ANSWERS_MAX)?;
        let is_over = Arc::new(AtomicBool::new(false));
        Ok(Self { courts: Vec::new(), generation: 0, is_over, sender, receiver })
    }

    /// Asks what the configuration names. A witness that stays keeps what is known of it. Returns the instances whose
    /// takeover is to be held back until it has answered, and those that have no witness any more.
    ///
    /// # Errors
    /// A thread could not be started: its target never answers.
    pub fn configure(&mut self, model: &Model) -> (Vec<String>, Vec<String>, io::Result<()>) {
        self.stop();
        self.is_over = Arc::new(AtomicBool::new(false));
        self.generation += 1;
        let before = std::mem::take(&mut self.courts);
        for instance in &model.instances {
            let Some(witness) = &instance.witness else { continue };
            if let Some(court) = self.courts.iter_mut().find(|court| court.witness == *witness) {
                court.instances.push(instance.name.clone());
                continue;
            }
            let known = before.iter().find(|court| court.witness == *witness);
            let answers = match known {
                Some(court) => court.answers.clone(),
                None => vec![None; witness.targets.len()],
            };
            let instances = vec![instance.name.clone()];
            self.courts.push(Court { witness: witness.clone(), instances, answers, told: None });
        }
        let held = self.courts.iter().flat_map(|court| court.instances.clone()).collect();
        let names = |courts: &[Court]| -> Vec<String> {
            courts.iter().flat_map(|court| court.instances.clone()).collect()
        };
        let left = names(&self.courts);
        let free = names(&before).into_iter().filter(|name| !left.contains(name)).collect();
        (held, free, self.start())
    }

    fn start(&self) -> io::Result<()> {
        let mut threads = 0;
        for (number, court) in self.courts.iter().enumerate() {
            for (place, target) in court.witness.targets.iter().enumerate() {
                if threads == THREADS_MAX {
                    return Err(io::Error::other(format!("more than {THREADS_MAX} targets of witnesses")));
                }
                threads += 1;
                let asker = Asker {
                    target: target.clone(),
                    interval: court.witness.interval,
                    timeout: court.witness.timeout,
                    is_over: Arc::clone(&self.is_over),
                };
                let (sender, generation) = (self.sender.clone(), self.generation);
                let tell = move |said| {
                    sender.send(Answer { generation, court: number, target: place, said });
                };
                let thread = std::thread::Builder::new().name("witness".to_owned());
                thread.stack_size(STACK_LENGTH).spawn(move || asker.run(tell))?;
            }
        }
        Ok(())
    }

    /// What has changed since the last call.
    pub fn verdicts(&mut self) -> Vec<Verdict> {
        self.receiver.quieten();
        while let Some(answer) = self.receiver.next() {
            if answer.generation == self.generation
                && let Some(court) = self.courts.get_mut(answer.court)
            {
                court.answers[answer.target] = Some(answer.said);
            }
        }
        let mut verdicts = Vec::new();
        for court in &mut self.courts {
            let Some(asked) = court.verdict() else { continue };
            let before = court.told.replace(asked);
            if before != Some(asked) {
                verdicts.push(Verdict {
                    instances: court.instances.clone(),
                    asked,
                    is_new: before.is_none_or(|before| before.is_some() != asked.is_some()),
                    count: court.count(),
                    targets: court.answers.len(),
                    quorum: court.witness.quorum,
                });
            }
        }
        verdicts
    }

    /// The threads end within their interval.
    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl AsFd for Witnesses {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// Asks one target, round after round.
struct Asker {
    target: WitnessTarget,
    interval: Duration,
    timeout: Duration,
    is_over: Arc<AtomicBool>,
}

impl Asker {
    fn run(&self, tell: impl Fn(Said)) {
        let mut sequence: u16 = 0;
        let mut next = Instant::now();
        while !self.is_over.load(Ordering::Relaxed) {
            sequence = sequence.wrapping_add(1);
            let asked = Instant::now();
            let answers = self.ask(sequence).unwrap_or(false);
            tell(answers.then_some(asked));
            next = (next + self.interval).max(Instant::now());
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn ask(&self, sequence: u16) -> io::Result<bool> {
        match &self.target {
            WitnessTarget::Ping(address) => echo(*address, sequence, self.timeout),
            WitnessTarget::Tcp(socket) => TcpStream::connect_timeout(socket, self.timeout).map(|_| true),
            WitnessTarget::Http { socket, path } => fetch(*socket, path, self.timeout),
        }
    }
}

/// One request; whether the status is 200 to 399.
fn fetch(socket: SocketAddr, path: &str, timeout: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&socket, timeout)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {socket}\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    let mut buffer = [0; LINE_MAX];
    while !line.contains(&b'\n') && line.len() < LINE_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        line.extend_from_slice(&buffer[..length]);
    }
    Ok(is_good(&line))
}

/// `HTTP/1.1 204 No Content`.
fn is_good(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let is_http = words.next().is_some_and(|word| word.starts_with(b"HTTP/1."));
    let status = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<u16>().ok());
    is_http && status.is_some_and(|status| (200..400).contains(&status))
}

/// One echo request. The thread's own socket and the sequence tell replies apart.
fn echo(address: IpAddr, sequence: u16, timeout: Duration) -> io::Result<bool> {
    let (identifier, sequence) = ((std::process::id() as u16).to_be_bytes(), sequence.to_be_bytes());
    sys::echo::echo(address, [identifier[0], identifier[1], sequence[0], sequence[1]], timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn court(quorum: usize, answers: &[Option<Said>]) -> Court {
        let target = WitnessTarget::Ping([127, 0, 0, 1].into());
        let second = Duration::from_secs(1);
        let targets = vec![target; answers.len()];
        let witness = Witness { targets, quorum, interval: second, timeout: second };
        Court { witness, instances: vec!["VI_1".to_owned()], answers: answers.to_vec(), told: None }
    }

    #[test]
    fn a_verdict_comes_when_it_is_certain() {
        let early = Instant::now();
        let [middle, late] = [1, 2].map(|seconds| early + Duration::from_secs(seconds));
        let yes = |asked| Some(Some(asked));
        assert_eq!(court(2, &[yes(early), None, None]).verdict(), None);
        assert_eq!(court(2, &[yes(early), None, yes(late)]).verdict(), Some(Some(early)));
        assert_eq!(court(2, &[yes(early), yes(middle), yes(late)]).verdict(), Some(Some(middle)));
        assert_eq!(court(2, &[yes(early), Some(None), Some(None)]).verdict(), Some(None));
        assert_eq!(court(1, &[Some(None)]).verdict(), Some(None));
    }

    #[test]
    fn a_port_answers_while_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let socket = listener.local_addr().expect("bound");
        let asker = Asker {
            target: WitnessTarget::Tcp(socket),
            interval: Duration::from_millis(10),
            timeout: Duration::from_millis(500),
            is_over: Arc::new(AtomicBool::new(false)),
        };
        assert!(asker.ask(1).expect("it connects"));
        drop(listener);
        assert!(asker.ask(2).is_err());
    }

    #[test]
    fn a_web_server_answers_by_its_status() {
        assert!(is_good(b"HTTP/1.1 204 No Content\r\n"));
        assert!(is_good(b"HTTP/1.0 302 Found\r\n"));
        assert!(!is_good(b"HTTP/1.1 503 Service Unavailable\r\n"));
        assert!(!is_good(b"SSH-2.0-OpenSSH 200\r\n"));
        assert!(!is_good(b"HTTP/1.1\r\n"));
    }
}
