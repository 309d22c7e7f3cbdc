//! Statistics: the numbers of `show stat` and of the statistics page, computed from the state when asked.

mod fields;
pub mod page;
pub mod prometheus;
mod rows;
mod schema;
mod server_status;
mod text;

pub use fields::{Field, Tags};
pub use rows::{
    ObjectKind, Row, RowOptions, Value, backend_row, frontend_row, listener_rows, proxy_rows, server_row,
};
pub use schema::json_schema;
pub use server_status::server_status;
pub use text::{csv_header, write_csv, write_json, write_json_value, write_typed};
