//! Every raw syscall and every unsafe block of hawser, behind safe wrappers.
