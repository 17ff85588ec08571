"""The quality worker: declared checks on the events topics, window by window, and the gates that they hold."""
