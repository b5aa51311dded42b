"""One module per subcommand: settings in, result out; the only place where the layers meet."""
