//! What the task that runs a stream has cost so far: `cpu_calls` and its like.

/// Sums since the task began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCost {
    /// How often it was called, this time included.
    pub calls: u64,
    /// Nanoseconds inside it, this call so far included; 0 where tasks are not profiled.
    pub cpu_ns: u64,
    /// Nanoseconds from being woken to being called; 0 where tasks are not profiled.
    pub latency_ns: u64,
}

impl TaskCost {
    /// What came since `before`.
    pub fn since(self, before: TaskCost) -> TaskCost {
        TaskCost {
            calls: self.calls.saturating_sub(before.calls),
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            latency_ns: self.latency_ns.saturating_sub(before.latency_ns),
        }
    }
}
