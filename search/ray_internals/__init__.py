"""All that touches Ray's private API, a file a concern; `touch.Touch` checks each before it is used."""
