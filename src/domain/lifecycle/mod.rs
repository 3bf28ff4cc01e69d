//! The life of a request's cards: what we told whom, and what is to be told next.
