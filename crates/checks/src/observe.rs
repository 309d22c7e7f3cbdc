//! `observe`: what real traffic says about a server, and when enough errors in a row count as a failed check.

/// One observation of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    L4Ok,
    L4Error,
    HttpOk,
    /// A status that is not 100..=499, 501 or 505.
    HttpStatus,
    /// Could not be parsed.
    HttpResponse,
    HttpReadError,
    HttpReadTimeout,
    HttpBrokenPipe,
}

/// What is observed: `observe layer4` or `layer7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    L4,
    L7,
}

impl Observation {
    /// The words of the report.
    pub fn description(self) -> &'static str {
        match self {
            Observation::L4Ok => "L4 successful connection",
            Observation::L4Error => "L4 unsuccessful connection",
            Observation::HttpOk => "Correct http response",
            Observation::HttpStatus => "Wrong http response",
            Observation::HttpResponse => "Invalid http response (headers)",
            Observation::HttpReadError => "Read error (http)",
            Observation::HttpReadTimeout => "Read timeout (http)",
            Observation::HttpBrokenPipe => "Close from server (http)",
        }
    }

    pub fn is_error(self) -> bool {
        match self {
            Observation::L4Ok | Observation::HttpOk => false,
            Observation::L4Error
            | Observation::HttpStatus
            | Observation::HttpResponse
            | Observation::HttpReadError
            | Observation::HttpReadTimeout
            | Observation::HttpBrokenPipe => true,
        }
    }

    fn layer(self) -> Layer {
        match self {
            Observation::L4Ok | Observation::L4Error => Layer::L4,
            Observation::HttpOk
            | Observation::HttpStatus
            | Observation::HttpResponse
            | Observation::HttpReadError
            | Observation::HttpReadTimeout
            | Observation::HttpBrokenPipe => Layer::L7,
        }
    }

    /// The observation that a response status is.
    pub fn of_status(status: u16) -> Observation {
        match status {
            100..=499 | 501 | 505 => Observation::HttpOk,
            _ => Observation::HttpStatus,
        }
    }

    /// Whether it counts where `layer` is observed. A connection that came about says nothing at layer 7.
    pub fn concerns(self, layer: Layer) -> bool {
        match layer {
            Layer::L4 => self.layer() == Layer::L4,
            Layer::L7 => self != Observation::L4Ok,
        }
    }
}

/// The report of `errors` consecutive errors.
pub fn observed_report(errors: u32, last: Observation) -> String {
    format!("Detected {errors} consecutive errors, last one was: {}", last.description())
}
