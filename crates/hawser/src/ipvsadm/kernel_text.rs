//! What a refusal of the kernel is called, by the command that met it.

use super::command::Operation;
use director::kernel::{Refusal, system_text};

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const ENOMEM: i32 = 12;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const EMSGSIZE: i32 = 90;
const EOPNOTSUPP: i32 = 95;
const EAFNOSUPPORT: i32 = 97;

/// Of a request.
pub fn refusal(operation: Operation, refusal: &Refusal) -> String {
    let Some(errno) = refusal.errno() else { return refusal.to_string() };
    let special = match (operation, errno) {
        (Operation::AddService, EEXIST) => Some("Service already exists"),
        (Operation::AddService | Operation::EditService, ENOENT) => {
            Some("Scheduler or persistence engine not found")
        }
        (Operation::EditService | Operation::DeleteService | Operation::Zero | Operation::List, ESRCH) => {
            Some("No such service")
        }
        (Operation::AddServer | Operation::EditServer | Operation::DeleteServer, ESRCH) => {
            Some("Service not defined")
        }
        (Operation::AddServer, EEXIST) => Some("Destination already exists"),
        (Operation::EditServer | Operation::DeleteServer, ENOENT) => Some("No such destination"),
        (Operation::StartDaemon(_), EEXIST) => Some("Daemon has already run"),
        (Operation::StopDaemon(_), ESRCH) => Some("No daemon is running"),
        _ => None,
    };
    special.map_or_else(|| any(errno), str::to_owned)
}

fn any(errno: i32) -> String {
    let text = match errno {
        EPERM => "Permission denied (you must be root)",
        EINVAL => "Invalid operation.  Possibly wrong module version, address not unicast, ...",
        ENOMEM => "Memory allocation problem",
        EOPNOTSUPP => "Operation not supported with IPv6",
        EAFNOSUPPORT => "Operation not supported with specified address family",
        EMSGSIZE => "Module is wrong version",
        _ => return system_text(errno),
    };
    text.to_owned()
}

/// Of the first word with the kernel.
pub fn opening(refusal: &Refusal) -> String {
    refusal.errno().map_or_else(|| refusal.to_string(), any)
}
