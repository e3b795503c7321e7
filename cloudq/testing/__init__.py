"""What tests of programs that use cloudq may want."""
