//! The contract with shells, supervisors and test tools: the same scenario against HAProxy and against hawser.

mod confinement;
mod dashboard;
mod demo;
mod exit_codes;
mod guides;
mod inspect;
mod life;
mod listeners;
mod log_forward;
mod master;
mod program;
mod reload;
mod storm;
mod supervisor;
mod threats;
