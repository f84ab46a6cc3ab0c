"""What `dbplanmon up` needs: a Dagster home, child processes, and somebody who looks after them."""
