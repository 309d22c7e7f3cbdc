//! The whole system: two directors that run `hawser run`, two real servers, a client, and what goes wrong.

mod board;
mod files;
mod health;
mod mixed;
mod pair;
mod walk;
