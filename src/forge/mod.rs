//! Pull requests, wherever they live: GitHub, or plain Git.
