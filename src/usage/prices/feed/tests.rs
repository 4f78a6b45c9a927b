//! Composed lists of others: every form, every refusal, and that nothing breaks the reader.
