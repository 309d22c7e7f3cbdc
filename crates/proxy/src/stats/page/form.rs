//! The form that is posted to the page: servers, a backend and an action. Owns its reading; what an action does to a
//! server is the caller's.

use super::target::Outcome;
use crate::control::actions::ServerAction;

/// Longest `name=value` that is read, in bytes.
const PARAMETER_LENGTH_MAX: usize = 2047;

/// Every action with its word in forms, and its name in the page's list; old words are not listed.
pub const ACTIONS: [(ServerAction, &str, Option<&str>); 17] = [
    (ServerAction::Ready, "ready", Some("State: READY")),
    (ServerAction::Drain, "drain", Some("State: DRAIN")),
    (ServerAction::Maintenance, "maint", Some("State: MAINT")),
    (ServerAction::DisableHealth, "dhlth", Some("Health: disable checks")),
    (ServerAction::EnableHealth, "ehlth", Some("Health: enable checks")),
    (ServerAction::HealthUp, "hrunn", Some("Health: force UP")),
    (ServerAction::HealthStopping, "hnolb", Some("Health: force NOLB")),
    (ServerAction::HealthDown, "hdown", Some("Health: force DOWN")),
    (ServerAction::DisableAgent, "dagent", Some("Agent: disable checks")),
    (ServerAction::EnableAgent, "eagent", Some("Agent: enable checks")),
    (ServerAction::AgentUp, "arunn", Some("Agent: force UP")),
    (ServerAction::AgentDown, "adown", Some("Agent: force DOWN")),
    (ServerAction::ShutdownSessions, "shutdown", Some("Sessions: kill all")),
    (ServerAction::Disable, "disable", None),
    (ServerAction::Enable, "enable", None),
    (ServerAction::Stop, "stop", None),
    (ServerAction::Start, "start", None),
];

fn action_of(word: &[u8]) -> Option<ServerAction> {
    ACTIONS.iter().find(|(_, known, _)| known.as_bytes() == word).map(|(action, ..)| *action)
}

/// What became of one server of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The action applied to it, be the state new or not.
    Applied,
    /// The server has no such thing (no check, no agent, follows another): it does not count.
    NotApplicable,
    /// No server of that name.
    Unknown,
}

/// Whom the form can act on.
pub trait Servers {
    type Backend: Copy;

    /// A backend by its name, or by `#` and its number.
    fn backend(&self, name: &str) -> Option<Self::Backend>;

    fn act(&mut self, backend: Self::Backend, server: &str, action: ServerAction) -> Effect;
}

/// Reads the form and acts on every server in it, the last first; `None` is a form that did not fit a buffer.
///
/// The last backend and action of a form count. A parameter that cannot be read ends the reading, as in HAProxy; what
/// was done until then stays done.
pub fn process<S: Servers>(form: Option<&[u8]>, servers: &mut S) -> Outcome {
    let Some(form) = form else { return Outcome::TooLong };
    let mut backend = None;
    let mut action = None;
    let mut names = Vec::new();
    // One that cannot be read stops the reading: nothing before it counts.
    let mut refused = None;
    for parameter in form.rsplit(|byte| *byte == b'&') {
        if parameter.len() > PARAMETER_LENGTH_MAX {
            refused = Some(Outcome::BadParameters);
            break;
        }
        let Some((name, value)) = decoded(parameter) else { break };
        match &name[..] {
            b"b" if backend.is_none() => match servers.backend(&String::from_utf8_lossy(&value)) {
                Some(found) => backend = Some(found),
                None => return Outcome::BadParameters,
            },
            b"action" if action.is_none() => match action_of(&value) {
                Some(found) => action = Some(found),
                // `action` alone is the list with nothing chosen in it, unless another says more.
                None if parameter == b"action" => {}
                None => return Outcome::BadParameters,
            },
            b"s" => names.push(value),
            _ => {}
        }
    }
    let (mut applied, mut total) = (0_usize, 0_usize);
    if let (Some(backend), Some(action)) = (backend, action) {
        for name in names {
            match servers.act(backend, &String::from_utf8_lossy(&name), action) {
                Effect::Applied => (applied, total) = (applied + 1, total + 1),
                Effect::NotApplicable => {}
                Effect::Unknown => total += 1,
            }
        }
    }
    match (refused, applied, total) {
        (Some(outcome), ..) => outcome,
        (None, _, 0) => Outcome::Nothing,
        (None, 0, _) => Outcome::BadParameters,
        (None, applied, total) if applied == total => Outcome::Done,
        (None, ..) => Outcome::Partial,
    }
}

/// Name and value of a parameter with percent signs and pluses decoded; `None` when that cannot be.
fn decoded(parameter: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let equals = memchr::memchr(b'=', parameter).unwrap_or(parameter.len());
    let (name, value) = (&parameter[..equals], parameter.get(equals + 1..).unwrap_or_default());
    let mut texts = (Vec::new(), Vec::new());
    http::url::decode(name, true, &mut texts.0).ok()?;
    http::url::decode(value, true, &mut texts.1).ok()?;
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Backend `web` with s1 (checked), s4 (not), and nothing else.
    #[derive(Default)]
    struct Lab {
        done: Vec<(String, ServerAction)>,
    }

    impl Servers for Lab {
        type Backend = ();

        fn backend(&self, name: &str) -> Option<()> {
            matches!(name, "web" | "#7").then_some(())
        }

        fn act(&mut self, (): (), server: &str, action: ServerAction) -> Effect {
            let effect = match (server, action) {
                ("s1", _) => Effect::Applied,
                ("s4", ServerAction::DisableAgent) => Effect::NotApplicable,
                ("s4", _) => Effect::Applied,
                _ => Effect::Unknown,
            };
            self.done.push((server.to_owned(), action));
            effect
        }
    }

    fn outcome(form: &str) -> &'static str {
        process(Some(form.as_bytes()), &mut Lab::default()).code()
    }

    /// Forms and the code that HAProxy 2.6.12 answered.
    const RECORDED: &[(&str, &str)] = &[
        ("", "NONE"),
        ("nonsense", "NONE"),
        ("s=s1", "NONE"),
        ("action=ready", "NONE"),
        ("b=web&action=ready", "NONE"),
        ("s=s1&b=web", "NONE"),
        ("s=s4&action=maint", "NONE"),
        ("s=s1&action=&b=web", "ERRP"),
        ("s=s1&action=bogus&b=web", "ERRP"),
        ("s=nobody&action=maint&b=web", "ERRP"),
        ("s=s1&action=maint&b=nobody", "ERRP"),
        ("s=s1&s=nobody&action=maint&b=web", "PART"),
        ("s=nobody&s=s1&action=ready&b=web", "PART"),
        ("action=ready&s=s1&b=web", "DONE"),
        ("b=web&s=s1&action=ready", "DONE"),
        ("x=1&s=s4&action=ready&b=web&y=2", "DONE"),
        ("s=s4&action=ready&b=web&", "DONE"),
        ("s=s4&&action=ready&b=web", "DONE"),
        ("s=s4;action=ready;b=web", "NONE"),
        ("s=%734&action=re%61dy&b=w%65b", "DONE"),
        ("%73=s4&action=ready&b=web", "DONE"),
        ("s=s+4&action=ready&b=web", "ERRP"),
        ("s=s4&action=ready&action=maint&b=web", "DONE"),
        ("s=s4&action=ready&b=web&b=tcpb", "ERRP"),
        ("S=s4&action=ready&b=web", "NONE"),
        ("s=s4&action=READY&b=web", "ERRP"),
        ("s=S4&action=ready&b=web", "ERRP"),
        ("s=s4=x&action=ready&b=web", "ERRP"),
        ("s=%zz&action=ready&b=web", "NONE"),
        ("s=s4&action=ready&b=#7", "DONE"),
        ("s&action=ready&b=web", "ERRP"),
        ("=&action=ready&b=web", "NONE"),
        ("b&s=s4&action=ready", "ERRP"),
        ("s=s1&s=s4&action=dagent&b=web", "DONE"),
        ("s=s4&action=dagent&b=web", "NONE"),
        ("s=nobody&s=s4&action=dagent&b=web", "ERRP"),
        ("s=s4&action=ready&b=web&%zz=1", "NONE"),
        ("%zz=1&s=s4&action=ready&b=web", "DONE"),
    ];

    // row: 148, 149
    #[test]
    fn forms_end_as_recorded_from_haproxy() {
        for (form, code) in RECORDED {
            assert_eq!(outcome(form), *code, "{form}");
        }
    }

    #[test]
    fn a_long_parameter_is_refused_and_a_long_form_does_nothing() {
        let long = |length: usize| format!("s=s4&action=ready&b=web&x={}", "a".repeat(length));
        assert_eq!([outcome(&long(2045)), outcome(&long(2046))], ["DONE", "ERRP"]);
        let mut lab = Lab::default();
        assert_eq!(process(None, &mut lab), Outcome::TooLong);
        assert!(lab.done.is_empty());
    }

    #[test]
    fn the_last_action_of_a_form_counts_for_all_its_servers() {
        let mut lab = Lab::default();
        process(Some(b"s=s1&action=ready&s=s4&action=maint&b=web"), &mut lab);
        let both =
            [("s4".to_owned(), ServerAction::Maintenance), ("s1".to_owned(), ServerAction::Maintenance)];
        assert_eq!(lab.done, both);
    }
}
