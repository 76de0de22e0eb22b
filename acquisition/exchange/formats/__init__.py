"""What single formats need to be exact and readable elsewhere: the clocks of videos, OME metadata, MATLAB's older format."""
