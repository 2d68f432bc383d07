//! One moment, the time of the commit, in the three ways in which packages write it. Calendar after Howard Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms" (days_from_civil and its inverse). Zones and leap seconds are not known here.

/// Seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date(pub u64);

impl Date {
    /// `2026-11-23T08:13:23Z`.
    pub(crate) fn rfc3339(self) -> String {
        let (year, month, day) = self.civil();
        let (hour, minute, second) = self.clock();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `Mon, 23 Nov 2026 08:13:23 +0000`.
    pub(crate) fn rfc2822(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (year, month, day) = self.civil();
        let (hour, minute, second) = self.clock();
        let weekday = DAYS[(self.0 / 86_400 % 7) as usize];
        let month = MONTHS[month as usize - 1];
        format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
    }

    fn clock(self) -> (u64, u64, u64) {
        let seconds = self.0 % 86_400;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    fn civil(self) -> (u64, u64, u64) {
        // Days since 0000-03-01, so that the day of a leap year is the last of its year.
        let days = self.0 / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let of_month = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (era * 400 + year + u64::from(month <= 2), month, of_month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_date_writes_them() {
        for (seconds, short, long) in [
            (0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_400, "2000-02-29T00:00:00Z", "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_795_421_603, "2026-11-23T08:13:23Z", "Mon, 23 Nov 2026 08:13:23 +0000"),
            (4_107_542_399, "2100-02-28T23:59:59Z", "Sun, 28 Feb 2100 23:59:59 +0000"),
            (4_107_542_400, "2100-03-01T00:00:00Z", "Mon, 01 Mar 2100 00:00:00 +0000"),
        ] {
            assert_eq!(Date(seconds).rfc3339(), short);
            assert_eq!(Date(seconds).rfc2822(), long);
        }
    }
}
