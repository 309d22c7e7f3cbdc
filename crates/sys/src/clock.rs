//! Wall clocks: local calendar time (the C library owns the time zone data; std has none), and whether the clock is kept right.

/// A moment of local calendar time, as log headers print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    pub year: i32,
    /// 1..=12.
    pub month: u8,
    /// 1..=31.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    /// 0..=60: a leap second reads 60.
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// East of Greenwich is positive.
    pub offset_minutes: i32,
}

/// The local time of `seconds` since the epoch. Seconds that no calendar holds give the epoch itself.
///
/// The first call reads the time zone file: call once before a chroot.
pub fn local_time(seconds: i64) -> LocalTime {
    // SAFETY: `tm` is a plain C struct of integers and a pointer, for which all zero bytes are valid.
    let mut broken: libc::tm = unsafe { std::mem::zeroed() };
    let clock: libc::time_t = seconds;
    // SAFETY: both pointers are to live, properly aligned values of the right type, and localtime_r writes only to the second.
    // std reads and writes the environment under a lock that C does not take; hawser changes its environment only
    // before threads exist.
    let result = unsafe { libc::localtime_r(&clock, &mut broken) };
    if result.is_null() {
        return LocalTime {
            year: 1970,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            weekday: 4,
            offset_minutes: 0,
        };
    }
    // The C library promises the ranges that make these casts exact.
    let small = |value: libc::c_int| u8::try_from(value).unwrap_or(0);
    LocalTime {
        year: broken.tm_year.saturating_add(1900),
        month: small(broken.tm_mon) + 1,
        day: small(broken.tm_mday),
        hour: small(broken.tm_hour),
        minute: small(broken.tm_min),
        second: small(broken.tm_sec),
        weekday: small(broken.tm_wday),
        offset_minutes: i32::try_from(broken.tm_gmtoff / 60).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_second_has_its_calendar_date() {
        let time = local_time(1_000_000_000);
        let since_midnight =
            i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second);
        // 2001-09-09 01:46:40 UTC, whatever the zone of the machine.
        assert_eq!(
            (since_midnight - i64::from(time.offset_minutes) * 60).rem_euclid(86_400),
            3600 + 46 * 60 + 40
        );
        assert_eq!((time.year, time.month), (2001, 9));
    }

    #[test]
    fn seconds_beyond_the_calendar_do_not_panic() {
        assert_eq!(local_time(i64::MAX).year, 1970);
    }
}

/// What the kernel knows of the wall clock's rightness, kept up by the program that sets it (chrony, ntpd).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synchronisation {
    pub is_synchronised: bool,
    /// How far off the clock may be at most; grows while nobody sets it.
    pub error_max: std::time::Duration,
}

/// Asks the kernel whether the wall clock is being kept right. Changes nothing.
///
/// # Errors
/// What `adjtimex(2)` says.
pub fn synchronisation() -> std::io::Result<Synchronisation> {
    // SAFETY: all zeros is a valid `timex`; `modes` of zero only reads.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, writable `timex`.
    if unsafe { libc::adjtimex(&raw mut timex) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let error_max = std::time::Duration::from_micros(u64::try_from(timex.maxerror).unwrap_or(u64::MAX));
    Ok(Synchronisation { is_synchronised: timex.status & libc::STA_UNSYNC == 0, error_max })
}
