//! Where an expression runs (which rule set, which side) and where a fetch has something to say.
//! Owns the check "a response fetch in a request rule"; the fetch table says where each row is valid.

use crate::ProxyId;
use std::fmt;

/// The section that a rule stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// `None` outside of proxies (global, health checks of no backend).
    pub proxy: Option<ProxyId>,
    pub is_frontend: bool,
    pub is_backend: bool,
    pub is_http: bool,
}

/// A point of a stream's life at which expressions are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    FrontendConnection,
    FrontendSession,
    FrontendRequestContent,
    FrontendHttpRequest,
    FrontendRequestBody,
    UseBackend,
    BackendRequestContent,
    BackendHttpRequest,
    BackendRequestBody,
    /// `use-server`, `balance`, `stick on`, `stick match`.
    ServerChoice,
    /// `source … usesrc`.
    ServerSource,
    BackendResponseContent,
    BackendHttpResponse,
    BackendResponseBody,
    StickStore,
    FrontendResponseContent,
    FrontendHttpResponse,
    FrontendResponseBody,
    Log,
    Check,
    ConfigurationParser,
    Cli,
}

/// All places in the order of their bits.
const PLACES: [Place; 22] = [
    Place::FrontendConnection,
    Place::FrontendSession,
    Place::FrontendRequestContent,
    Place::FrontendHttpRequest,
    Place::FrontendRequestBody,
    Place::UseBackend,
    Place::BackendRequestContent,
    Place::BackendHttpRequest,
    Place::BackendRequestBody,
    Place::ServerChoice,
    Place::ServerSource,
    Place::BackendResponseContent,
    Place::BackendHttpResponse,
    Place::BackendResponseBody,
    Place::StickStore,
    Place::FrontendResponseContent,
    Place::FrontendHttpResponse,
    Place::FrontendResponseBody,
    Place::Log,
    Place::Check,
    Place::ConfigurationParser,
    Place::Cli,
];

impl Place {
    /// The place in words, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Place::FrontendConnection => "frontend tcp-request connection rule",
            Place::FrontendSession => "frontend tcp-request session rule",
            Place::FrontendRequestContent => "frontend tcp-request content rule",
            Place::FrontendHttpRequest => "frontend http-request rule",
            Place::FrontendRequestBody => "frontend http-request body rule",
            Place::UseBackend => "use_backend rule",
            Place::BackendRequestContent => "backend tcp-request content rule",
            Place::BackendHttpRequest => "backend http-request rule",
            Place::BackendRequestBody => "backend http-request body rule",
            Place::ServerChoice => "use-server, balance or stick rule",
            Place::ServerSource => "server source address",
            Place::BackendResponseContent => "backend tcp-response content rule",
            Place::BackendHttpResponse => "backend http-response rule",
            Place::BackendResponseBody => "backend http-response body rule",
            Place::StickStore => "stick store-response rule",
            Place::FrontendResponseContent => "frontend tcp-response content rule",
            Place::FrontendHttpResponse => "frontend http-response rule",
            Place::FrontendResponseBody => "frontend http-response body rule",
            Place::Log => "log format",
            Place::Check => "health check",
            Place::ConfigurationParser => "configuration parser",
            Place::Cli => "runtime API",
        }
    }

    /// This place alone.
    pub const fn only(self) -> PlaceSet {
        PlaceSet(1 << self as u8)
    }
}

/// A set of places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PlaceSet(u32);

impl PlaceSet {
    /// No place.
    pub const NONE: PlaceSet = PlaceSet(0);

    /// Every place.
    pub const ALL: PlaceSet = PlaceSet((1 << PLACES.len()) - 1);

    /// From first to last, both included, in the order of a stream's life.
    pub const fn range(first: Place, last: Place) -> PlaceSet {
        PlaceSet(
            (PlaceSet::ALL.0 << first as u8) & (PlaceSet::ALL.0 >> (PLACES.len() as u8 - 1 - last as u8)),
        )
    }

    /// Both sets together.
    pub const fn with(self, other: PlaceSet) -> PlaceSet {
        PlaceSet(self.0 | other.0)
    }

    /// What is left without `other`.
    pub const fn without(self, other: PlaceSet) -> PlaceSet {
        PlaceSet(self.0 & !other.0)
    }

    /// Whether a place is in both.
    pub const fn meets(self, other: PlaceSet) -> bool {
        self.0 & other.0 != 0
    }

    /// `http-request` rules of a section with these sides.
    pub fn http_request(section: Section) -> PlaceSet {
        sides(section, Place::FrontendHttpRequest, Place::BackendHttpRequest)
    }

    /// `http-response` and `http-after-response` rules.
    pub fn http_response(section: Section) -> PlaceSet {
        sides(section, Place::FrontendHttpResponse, Place::BackendHttpResponse)
    }

    /// `tcp-request content` rules.
    pub fn tcp_request_content(section: Section) -> PlaceSet {
        sides(section, Place::FrontendRequestContent, Place::BackendRequestContent)
    }

    /// `tcp-response content` rules.
    pub fn tcp_response_content(section: Section) -> PlaceSet {
        sides(section, Place::FrontendResponseContent, Place::BackendResponseContent)
    }

    /// The places, first to last.
    pub fn iter(self) -> impl Iterator<Item = Place> {
        PLACES.into_iter().filter(move |place| self.meets(place.only()))
    }
}

fn sides(section: Section, frontend: Place, backend: Place) -> PlaceSet {
    let mut places = PlaceSet::NONE;
    if section.is_frontend {
        places = places.with(frontend.only());
    }
    if section.is_backend {
        places = places.with(backend.only());
    }
    places
}

impl fmt::Debug for PlaceSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for PlaceSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, place) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(out, "{comma}{}", place.name())?;
        }
        Ok(())
    }
}
