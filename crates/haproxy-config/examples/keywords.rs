//! Prints the keywords of the configuration as `haproxy -dKcfg,smp,cnv` does.

use haproxy_config::listing;

fn main() {
    print!("{}{}{}", listing::configuration_keywords(), listing::converters(), listing::sample_fetches());
}
