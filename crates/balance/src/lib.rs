//! Every balancing algorithm.

#[derive(Debug, Clone)]
pub enum Algorithm {
    RoundRobin,
}
