//! Quality: an OPC UA status code (OPC 10000-4, 7.39; numbers from OPC 10000-6, A.2) that goes with every
//! value from the device to the KPI. Here: the number, its class, its name, and how people spell it.

use std::fmt;

/// An OPC UA status code. The two top bits are the class: Good, Uncertain, Bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quality(pub u32);

/// A spelling of a quality that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no quality: use good, uncertain, bad, a name such as Bad_NoCommunication, an OPC UA code (0x80310000), \
     or OPC DA's 0, 64, 192"
)]
pub struct QualityError(pub String);

macro_rules! status_codes {
    ($($constant:ident $number:literal $name:literal;)*) => {
        impl Quality {
            $(#[doc = concat!("`", $name, "` (", stringify!($number), ")")] pub const $constant: Quality = Quality($number);)*
            /// Every code that has a name here, with the name as OPC 10000-4 spells it.
            pub const NAMED: &'static [(Quality, &'static str)] = &[$((Quality($number), $name)),*];
        }
    };
}

status_codes! {
    GOOD 0x0000_0000 "Good";
    GOOD_LOCAL_OVERRIDE 0x0096_0000 "Good_LocalOverride";
    GOOD_ENTRY_INSERTED 0x00A2_0000 "Good_EntryInserted";
    GOOD_ENTRY_REPLACED 0x00A3_0000 "Good_EntryReplaced";
    GOOD_NO_DATA 0x00A5_0000 "Good_NoData";
    GOOD_CLAMPED 0x0030_0000 "Good_Clamped";
    UNCERTAIN 0x4000_0000 "Uncertain";
    UNCERTAIN_NO_COMMUNICATION_LAST_USABLE 0x408F_0000 "Uncertain_NoCommunicationLastUsableValue";
    UNCERTAIN_LAST_USABLE_VALUE 0x4090_0000 "Uncertain_LastUsableValue";
    UNCERTAIN_SUBSTITUTE_VALUE 0x4091_0000 "Uncertain_SubstituteValue";
    UNCERTAIN_INITIAL_VALUE 0x4092_0000 "Uncertain_InitialValue";
    UNCERTAIN_SENSOR_NOT_ACCURATE 0x4093_0000 "Uncertain_SensorNotAccurate";
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED 0x4094_0000 "Uncertain_EngineeringUnitsExceeded";
    UNCERTAIN_SUB_NORMAL 0x4095_0000 "Uncertain_SubNormal";
    UNCERTAIN_DATA_SUB_NORMAL 0x40A4_0000 "Uncertain_DataSubNormal";
    BAD 0x8000_0000 "Bad";
    BAD_UNEXPECTED_ERROR 0x8001_0000 "Bad_UnexpectedError";
    BAD_INTERNAL_ERROR 0x8002_0000 "Bad_InternalError";
    BAD_COMMUNICATION_ERROR 0x8005_0000 "Bad_CommunicationError";
    BAD_DECODING_ERROR 0x8007_0000 "Bad_DecodingError";
    BAD_TIMEOUT 0x800A_0000 "Bad_Timeout";
    BAD_SHUTDOWN 0x800C_0000 "Bad_Shutdown";
    BAD_USER_ACCESS_DENIED 0x801F_0000 "Bad_UserAccessDenied";
    BAD_NO_COMMUNICATION 0x8031_0000 "Bad_NoCommunication";
    BAD_WAITING_FOR_INITIAL_DATA 0x8032_0000 "Bad_WaitingForInitialData";
    BAD_NOT_READABLE 0x803A_0000 "Bad_NotReadable";
    BAD_OUT_OF_RANGE 0x803C_0000 "Bad_OutOfRange";
    BAD_NOT_SUPPORTED 0x803D_0000 "Bad_NotSupported";
    BAD_NOT_FOUND 0x803E_0000 "Bad_NotFound";
    BAD_TYPE_MISMATCH 0x8074_0000 "Bad_TypeMismatch";
    BAD_CONFIGURATION_ERROR 0x8089_0000 "Bad_ConfigurationError";
    BAD_NOT_CONNECTED 0x808A_0000 "Bad_NotConnected";
    BAD_DEVICE_FAILURE 0x808B_0000 "Bad_DeviceFailure";
    BAD_SENSOR_FAILURE 0x808C_0000 "Bad_SensorFailure";
    BAD_OUT_OF_SERVICE 0x808D_0000 "Bad_OutOfService";
    BAD_NO_DATA 0x809B_0000 "Bad_NoData";
    BAD_DATA_LOST 0x809D_0000 "Bad_DataLost";
    BAD_DATA_UNAVAILABLE 0x809E_0000 "Bad_DataUnavailable";
}

impl Quality {
    /// The value can be used without reservation.
    pub fn is_good(self) -> bool {
        self.0 >> 30 == 0
    }

    /// The value can be used with reservation.
    pub fn is_uncertain(self) -> bool {
        self.0 >> 30 == 1
    }

    /// The value must not be used. (Class 3 is reserved and counts as bad.)
    pub fn is_bad(self) -> bool {
        self.0 >> 31 == 1
    }

    /// The name of the code without its info bits, or `Good`, `Uncertain`, `Bad` for codes without a name here.
    pub fn name(self) -> &'static str {
        let code = Quality(self.0 & 0xFFFF_0000);
        Self::NAMED.iter().find(|(known, _)| *known == code).map_or(self.class(), |(_, name)| name)
    }

    /// `Good`, `Uncertain` or `Bad`.
    pub fn class(self) -> &'static str {
        match self.0 >> 30 {
            0 => "Good",
            1 => "Uncertain",
            _ => "Bad",
        }
    }

    /// A number as it came: OPC DA's qualities (0..=255: 0–63 bad, 64–127 uncertain, 192–255 good; OPC DA 3.00,
    /// 6.8) or, above 255, an OPC UA code. UA Good is 0 too: a bare 0 is OPC DA's bad, because that is what
    /// devices which send numbers mean by it.
    pub fn from_number(number: u32) -> Quality {
        match number {
            0..=63 => Quality::BAD,
            64..=191 => Quality::UNCERTAIN,
            192..=255 => Quality::GOOD,
            code => Quality(code),
        }
    }

    /// A quality as people and devices write it: a class or a name in any case, with or without the underscore,
    /// `true`/`false`, a decimal number ([`Quality::from_number`]) or a code in hex (taken as it is).
    ///
    /// # Errors
    /// The text is none of these.
    pub fn parse(text: &str) -> Result<Quality, QualityError> {
        let unknown = || QualityError(text.chars().take(40).collect());
        let text = text.trim();
        if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            return u32::from_str_radix(hex, 16).map(Quality).map_err(|_| unknown());
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return text.parse().map(Quality::from_number).map_err(|_| unknown());
        }
        if text.eq_ignore_ascii_case("true") {
            return Ok(Quality::GOOD);
        }
        if text.eq_ignore_ascii_case("false") {
            return Ok(Quality::BAD);
        }
        Self::NAMED
            .iter()
            .find(|(_, name)| plain(name).eq(plain(text)))
            .map(|(code, _)| *code)
            .ok_or_else(unknown)
    }
}

/// A name without what varies between writers.
fn plain(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase())
}

/// The name; codes without one of their own are followed by their number: `Bad (0x80120000)`.
impl fmt::Display for Quality {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        out.write_str(name)?;
        if Self::NAMED.iter().any(|(code, known)| code == self && *known == name) {
            return Ok(());
        }
        write!(out, " (0x{:08X})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (code, name) in Quality::NAMED {
            assert_eq!(Quality::parse(name), Ok(*code), "{name}");
            assert_eq!(Quality::parse(&name.replace('_', "")), Ok(*code), "{name}");
            assert_eq!(code.name(), *name);
            assert_eq!(code.class(), name.split('_').next().unwrap());
        }
    }

    #[test]
    fn spellings() {
        let table = [
            ("good", Quality::GOOD),
            ("GOOD", Quality::GOOD),
            ("192", Quality::GOOD),
            ("216", Quality::GOOD),
            ("64", Quality::UNCERTAIN),
            ("0", Quality::BAD),
            ("0x0", Quality::GOOD),
            ("true", Quality::GOOD),
            ("false", Quality::BAD),
            ("0x80310000", Quality::BAD_NO_COMMUNICATION),
            ("2150694912", Quality::BAD_NO_COMMUNICATION),
            ("badnocommunication", Quality::BAD_NO_COMMUNICATION),
        ];
        for (text, quality) in table {
            assert_eq!(Quality::parse(text), Ok(quality), "{text}");
        }
        for text in ["", "fine", "0xZZ", "99999999999", "-1"] {
            assert!(Quality::parse(text).is_err(), "{text}");
        }
        assert_eq!(Quality(0x8012_0000).to_string(), "Bad (0x80120000)");
        assert_eq!(Quality(0x8031_0001).to_string(), "Bad_NoCommunication (0x80310001)");
    }
}
