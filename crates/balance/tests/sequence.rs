//! Every sequence of requests and events gives the servers that the real haproxy chose: replays the recorded
//! scenarios of tests/vectors/balance.

use balance::{
    Algorithm, HashFunction, HashMethod, HashType, Picker, Server, ServerIndex, StaticWeight, key,
};

/// Attempts for one request: the first one and `retries 3`.
const ATTEMPTS: usize = 4;

#[derive(Default)]
struct Scenario<'a> {
    title: &'a str,
    balance: &'a str,
    options: Vec<&'a str>,
    servers: Vec<&'a str>,
    steps: Vec<&'a str>,
}

/// Name of a server that was removed.
const REMOVED: char = '-';

struct Backend {
    picker: Picker,
    balance: String,
    hash_type: HashType,
    names: Vec<char>,
    maxconn: Vec<u32>,
    refuses: Vec<bool>,
}

fn scenarios(text: &str) -> Vec<Scenario<'_>> {
    let mut scenarios: Vec<Scenario<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').expect("a word and its arguments");
        if word == "scenario" {
            scenarios.push(Scenario { title: rest, ..Scenario::default() });
            continue;
        }
        let scenario = scenarios.last_mut().expect("a scenario begins the file");
        match word {
            "balance" => scenario.balance = rest,
            "option" => scenario.options.push(rest),
            "server" => scenario.servers.push(rest),
            _ => scenario.steps.push(line),
        }
    }
    scenarios
}

impl Backend {
    fn new(scenario: &Scenario<'_>) -> Backend {
        let mut backend = Backend {
            picker: Picker::new(Algorithm::First, &[], false, 0),
            balance: scenario.balance.to_owned(),
            hash_type: HashType::default(),
            names: Vec::new(),
            maxconn: Vec::new(),
            refuses: Vec::new(),
        };
        let servers: Vec<Server> = scenario.servers.iter().map(|line| backend.declare(line)).collect();
        let mut all_backups = false;
        for option in &scenario.options {
            match option.split(' ').collect::<Vec<_>>()[..] {
                ["option", "allbackups"] => all_backups = true,
                ["hash-balance-factor", factor] => {
                    backend.hash_type.balance_factor = factor.parse().expect("a factor");
                }
                ["hash-type", method, ref rest @ ..] => {
                    let balance_factor = backend.hash_type.balance_factor;
                    let method = match method {
                        "map-based" => HashMethod::MapBased,
                        "consistent" => HashMethod::Consistent,
                        other => panic!("unknown method {other}"),
                    };
                    backend.hash_type = HashType { balance_factor, ..HashType::new(method) };
                    if let ["djb2", "avalanche"] = rest {
                        backend.hash_type.function = HashFunction::Djb2;
                        backend.hash_type.avalanche = true;
                    }
                }
                ref other => panic!("unknown option {other:?}"),
            }
        }
        let algorithm = match scenario.balance {
            "roundrobin" => Algorithm::RoundRobin,
            "static-rr" => Algorithm::StaticRoundRobin,
            "leastconn" => Algorithm::LeastConn,
            "first" => Algorithm::First,
            "url_param id" => Algorithm::Hash(HashType { looks_when_alone: true, ..backend.hash_type }),
            "hdr(x-key)" | "hash req.hdr(x-key)" | "uri whole" => Algorithm::Hash(backend.hash_type),
            other => panic!("unknown algorithm {other}"),
        };
        backend.picker = Picker::new(algorithm, &servers, all_backups, 0);
        backend
    }

    fn declare(&mut self, line: &str) -> Server {
        let mut words = line.split(' ');
        let name = words.next().and_then(|word| word.chars().next()).expect("a name");
        self.names.push(name);
        self.maxconn.push(0);
        self.refuses.push(false);
        let mut server = Server::new(u32::try_from(self.names.len()).expect("few servers"));
        while let Some(word) = words.next() {
            let mut number = || words.next().expect("an argument").parse::<u32>().expect("a number");
            match word {
                "weight" => server.weight = u16::try_from(number()).expect("a weight"),
                "id" => server.id = number(),
                "maxconn" => *self.maxconn.last_mut().expect("just pushed") = number(),
                "backup" => server.backup = true,
                "disabled" => server.up = false,
                "refuses" => *self.refuses.last_mut().expect("just pushed") = true,
                other => panic!("unknown server option {other}"),
            }
        }
        server
    }

    fn index(&self, name: &str) -> ServerIndex {
        let position = self.names.iter().position(|known| name.starts_with(*known)).expect("a known server");
        ServerIndex::at(position)
    }

    /// One request, with the attempts that follow a refused connection; the server stays loaded with it.
    fn request(&mut self, key: Option<&str>) -> Option<ServerIndex> {
        let hash = match (self.balance.as_str(), key) {
            ("uri whole", Some(key)) => {
                let options = key::UriOptions { whole: true, ..key::UriOptions::default() };
                Some(key::uri(format!("/?id={key}").as_bytes(), &options, &self.hash_type))
            }
            ("uri whole", None) => Some(key::uri(b"/", &key::UriOptions::default(), &self.hash_type)),
            (_, Some(key)) => key::header(key.as_bytes(), false, &self.hash_type),
            (_, None) => None,
        };
        let mut avoid = None;
        for _ in 0..ATTEMPTS {
            let picker = &self.picker;
            let full: Vec<bool> = (0..self.names.len())
                .map(|position| {
                    picker.algorithm().is_full(
                        picker.load(ServerIndex::at(position)),
                        self.maxconn[position],
                        0,
                    )
                })
                .collect();
            let server = self.picker.pick(hash, avoid, &|server| full[server.position()])?;
            self.picker.taken(server);
            if !self.refuses[server.position()] {
                return Some(server);
            }
            self.picker.dropped(server);
            avoid = Some(server);
        }
        None
    }

    fn requests<'k>(&mut self, keys: impl Iterator<Item = Option<&'k str>>, hold: bool) -> String {
        keys.map(|key| {
            let Some(server) = self.request(key) else { return '!' };
            if !hold {
                self.picker.dropped(server);
            }
            self.names[server.position()]
        })
        .collect()
    }

    /// Plays a step; `Err` holds what came out and what was recorded, when they differ.
    fn play(&mut self, step: &str) -> Result<(), (String, String)> {
        let mut words: Vec<&str> = step.split(' ').collect();
        let word = words.remove(0);
        match word {
            "pick" | "hold" | "pick-key" | "hold-key" | "hold-key-times" => {
                let expected = words.pop().expect("a result").to_owned();
                let hold = word.starts_with("hold");
                let count = |text: &str| text.parse::<usize>().expect("a count");
                let answers = match word {
                    "pick" | "hold" => self.requests((0..count(words[0])).map(|_| None), hold),
                    "hold-key-times" => self.requests((0..count(words[1])).map(|_| Some(words[0])), hold),
                    _ => self.requests(words.iter().map(|&key| Some(key)), hold),
                };
                if answers == expected { Ok(()) } else { Err((answers, expected)) }
            }
            "release" => {
                for name in words[0].chars() {
                    self.picker.dropped(self.index(&name.to_string()));
                }
                Ok(())
            }
            "add" => {
                let server = self.declare(&words.join(" "));
                let index = self.picker.add(server);
                // A newcomer may get the index of a removed server: it takes that row here too.
                if index.position() + 1 < self.names.len() {
                    self.names.swap_remove(index.position());
                    self.maxconn.swap_remove(index.position());
                    self.refuses.swap_remove(index.position());
                }
                Ok(())
            }
            "remove" => {
                let index = self.index(words[0]);
                self.picker.remove(index);
                self.names[index.position()] = REMOVED;
                Ok(())
            }
            "down" | "up" => {
                self.picker.set_up(self.index(words[0]), word == "up");
                Ok(())
            }
            "weight" => {
                let expected = if words.get(2) == Some(&"refused") { Err(StaticWeight) } else { Ok(()) };
                let weight = words[1].parse().expect("a weight");
                let result = self.picker.set_weight(self.index(words[0]), weight);
                if result == expected {
                    Ok(())
                } else {
                    Err((format!("{result:?}"), format!("{expected:?}")))
                }
            }
            other => panic!("unknown step {other}"),
        }
    }
}

/// Replays the scenarios of a file whose algorithm is `balance`, and says how many there were.
fn replay(file: &str, balance: &str) -> usize {
    let path = format!("{}/../../tests/vectors/balance/{file}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the recorded vectors are checked in");
    let mut failures = Vec::new();
    let mut played = 0;
    for scenario in scenarios(&text).iter().filter(|scenario| scenario.balance == balance) {
        played += 1;
        let mut backend = Backend::new(scenario);
        for (number, step) in scenario.steps.iter().enumerate() {
            if let Err((ours, recorded)) = backend.play(step) {
                let options = scenario.options.join(", ");
                let title = scenario.title;
                failures.push(format!(
                    "{title} ({options}), step {number}: {step}\n  ours     {ours}\n  recorded {recorded}"
                ));
                break;
            }
        }
    }
    let shown = failures.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {played} scenarios differ:\n{shown}", failures.len());
    played
}

// row: 100, 101, 102, 117, 118, 134, 141
#[test]
fn round_robin_takes_the_turns_that_haproxy_takes() {
    assert_eq!(replay("sequences", "roundrobin"), 22);
    assert!(replay("sequences-generated", "roundrobin") >= 15);
}

// row: 100, 101, 102, 115, 134
#[test]
fn static_round_robin_takes_the_turns_that_haproxy_takes() {
    assert_eq!(replay("sequences", "static-rr"), 19);
    assert!(replay("sequences-generated", "static-rr") >= 5);
}

// row: 100, 101, 102, 119, 134
#[test]
fn least_connections_breaks_ties_as_haproxy_does() {
    assert_eq!(replay("sequences", "leastconn"), 22);
    assert!(replay("sequences-generated", "leastconn") >= 10);
}

// row: 101, 102, 116
#[test]
fn first_fills_servers_in_the_order_that_haproxy_fills_them() {
    assert_eq!(replay("sequences", "first"), 19);
    assert!(replay("sequences-generated", "first") >= 3);
}

// row: 101, 102, 121, 122, 134, 138, 139, 140, 141
#[test]
fn keys_move_and_return_as_they_do_in_haproxy() {
    assert_eq!(replay("sequences", "hdr(x-key)"), 46);
    assert_eq!(replay("sequences-generated", "hdr(x-key)"), 12);
    assert_eq!(replay("sequences", "uri whole"), 2);
    assert_eq!(replay("sequences", "hash req.hdr(x-key)"), 2);
    assert_eq!(replay("sequences-generated", "hash req.hdr(x-key)"), 12);
    assert_eq!(replay("sequences", "url_param id"), 2);
    assert_eq!(replay("sequences-generated", "url_param id"), 12);
}
