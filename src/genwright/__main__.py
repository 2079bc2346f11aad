"""`python -m genwright` is the command `genwright`."""

from genwright.cli import main

if __name__ == "__main__":
    main()
