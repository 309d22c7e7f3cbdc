//! The tables of the benchmark: owns medians, ratios and verdicts.

use super::Workload;
use super::load::Measured;

/// Prints a table of traffic; names the workload if hawser missed its target.
pub fn traffic(workload: &Workload, rows: &[(&'static str, Vec<Measured>)]) -> Option<String> {
    println!(
        "  {:10}{:>12}{:>8}{:>10}{:>10}{:>10}{:>10}{:>8}",
        "", "CPU us/req", "ratio", "req/s", "p50 us", "p99 us", "bytes", "errors"
    );
    let of =
        |name: &str| rows.iter().find(|(other, _)| *other == name).map(|(_, measured)| measured.as_slice());
    let reference = of("haproxy").and_then(|measured| middle(measured, |one| one.cpu_us));
    for (name, measured) in rows {
        let Some(cpu) = middle(measured, |one| one.cpu_us) else { continue };
        let value = |field: fn(&Measured) -> f64| middle(measured, field).unwrap_or_default();
        let errors: u64 = measured.iter().map(|one| one.errors).sum();
        println!(
            "  {name:10}{cpu:>12.2}{:>8}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{errors:>8}",
            ratio(cpu, reference),
            value(|one| one.requests_per_second),
            value(|one| one.p50_us),
            value(|one| one.p99_us),
            value(|one| one.bytes),
        );
    }
    let own = of("hawser").and_then(|measured| middle(measured, |one| one.cpu_us));
    verdict(workload, own.zip(reference).map(|(own, reference)| own / reference), "x haproxy")
}

/// Prints one number for each program; the target is a number of that unit, or with `is_relative` a ratio to haproxy's.
pub fn scalar(
    workload: &Workload,
    rows: &[(&'static str, f64)],
    unit: &str,
    is_relative: bool,
) -> Option<String> {
    let of = |name: &str| rows.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    for (name, value) in rows {
        println!("  {name:10}{value:>12.2} {unit}{:>8}", ratio(*value, of("haproxy")));
    }
    if is_relative {
        let both = of("hawser").zip(of("haproxy"));
        return verdict(workload, both.map(|(own, reference)| own / reference), "x haproxy");
    }
    verdict(workload, of("hawser"), unit)
}

fn verdict(workload: &Workload, own: Option<f64>, unit: &str) -> Option<String> {
    let (target, own) = (workload.target?, own?);
    let met = own <= target;
    println!("  {}: {own:.2} {unit}, target {target:.2}", if met { "met" } else { "MISSED" });
    (!met).then(|| workload.name.to_owned())
}

fn ratio(value: f64, reference: Option<f64>) -> String {
    reference.map_or("-".to_owned(), |reference| format!("{:.2}", value / reference))
}

fn middle(measured: &[Measured], field: impl Fn(&Measured) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = measured.iter().map(field).collect();
    (!values.is_empty()).then(|| median(&mut values))
}

/// The middle of the values; the mean of the two in the middle of an even number.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(super::median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(super::median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
