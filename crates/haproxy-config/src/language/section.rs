//! The words that start a section.

/// What kind of section a header opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    Global,
    Defaults,
    Frontend,
    Backend,
    Listen,
    Userlist,
    Peers,
    Mailers,
    Resolvers,
    Cache,
    HttpErrors,
    Ring,
    LogForward,
    Program,
    FcgiApp,
}

impl SectionKind {
    /// Every kind, with the word that opens it.
    pub const ALL: [(SectionKind, &'static str); 15] = [
        (SectionKind::Global, "global"),
        (SectionKind::Defaults, "defaults"),
        (SectionKind::Frontend, "frontend"),
        (SectionKind::Backend, "backend"),
        (SectionKind::Listen, "listen"),
        (SectionKind::Userlist, "userlist"),
        (SectionKind::Peers, "peers"),
        (SectionKind::Mailers, "mailers"),
        (SectionKind::Resolvers, "resolvers"),
        (SectionKind::Cache, "cache"),
        (SectionKind::HttpErrors, "http-errors"),
        (SectionKind::Ring, "ring"),
        (SectionKind::LogForward, "log-forward"),
        (SectionKind::Program, "program"),
        (SectionKind::FcgiApp, "fcgi-app"),
    ];

    /// Sections of later HAProxy versions: known by name so that they are refused by name.
    pub const LATER: [&'static str; 4] = ["crt-store", "traces", "acme", "log-profile"];

    pub fn from_keyword(word: &str) -> Option<SectionKind> {
        Self::ALL.iter().find(|(_, keyword)| *keyword == word).map(|(kind, _)| *kind)
    }

    pub fn keyword(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, keyword)| keyword)
    }

    /// `defaults`, `frontend`, `backend` and `listen` share one set of keywords.
    pub fn is_proxy(self) -> bool {
        match self {
            SectionKind::Frontend | SectionKind::Backend | SectionKind::Listen => true,
            SectionKind::Global
            | SectionKind::Defaults
            | SectionKind::Userlist
            | SectionKind::Peers
            | SectionKind::Mailers
            | SectionKind::Resolvers
            | SectionKind::Cache
            | SectionKind::HttpErrors
            | SectionKind::Ring
            | SectionKind::LogForward
            | SectionKind::Program
            | SectionKind::FcgiApp => false,
        }
    }
}
