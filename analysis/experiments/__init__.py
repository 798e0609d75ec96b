"""Experiments: tables of conditions, trials and seeds that one command runs, resumes and gathers in one file."""
