//! Every way a chat attempt can end.
