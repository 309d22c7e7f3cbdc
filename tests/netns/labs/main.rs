//! Labs of one host with the tutorial's addresses.

mod tutorial;
