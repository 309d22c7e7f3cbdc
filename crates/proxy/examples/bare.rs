//! Loads a configuration and serves it: for measuring without the process around.

use haproxy_config::{LoadOptions, load};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let file = std::env::args().nth(1).expect("a file");
    let loaded = load(&LoadOptions::new(vec![file.into()]));
    eprintln!("{:?}", loaded.report);
    let bound = proxy::bind(Arc::new(loaded.model.expect("valid")), proxy::BindOptions::default()).unwrap();
    let (_sender, receiver) = std::sync::mpsc::channel();
    std::process::exit(bound.run(receiver));
}
