//! Labs of one host.

mod privileges;
mod tutorial;
