# Tests: included by the Makefile at the top.  Unit tests link the real objects.
