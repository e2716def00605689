"""The lab's S3 server: moto behind a layer that behaves like S3 Glacier where a restore can see it."""
