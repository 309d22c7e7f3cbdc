//! Prints the configuration keywords as `haproxy -dKcfg` does.

fn main() {
    print!("{}", haproxy_config::listing::configuration_keywords());
}
