//! What holds for any records: a sum over them is the sum over any partition of them, to the last pico-dollar.
