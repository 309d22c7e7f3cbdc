//! Checks configuration files and prints what is wrong: `cargo run -p haproxy-config --example check -- FILE…`.

use diag::Severity;
use haproxy_config::{LoadOptions, load};

fn main() -> std::process::ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let show_model = arguments.first().is_some_and(|word| word == "--model");
    if show_model {
        arguments.remove(0);
    }
    let loaded = load(&LoadOptions::new(arguments.into_iter().map(Into::into).collect()));
    print!("{}", loaded.report.render(&loaded.sources, Severity::Diag));
    match loaded.model {
        Some(model) => {
            if show_model {
                println!("{model:#?}");
            }
            println!("{} proxies, {} warnings", model.proxies.len(), loaded.report.warnings());
            std::process::ExitCode::SUCCESS
        }
        None => {
            println!("{} errors, {} warnings", loaded.report.alerts(), loaded.report.warnings());
            std::process::ExitCode::FAILURE
        }
    }
}
