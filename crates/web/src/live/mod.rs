//! stand-in until the socket below is written
